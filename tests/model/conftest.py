import pytest
import torch
from torch import nn

from metauas.model import create_model


def lively(preset):
    """A network whose maps differ from pixel to pixel; those of PyTorch's own start are nearly flat."""
    torch.manual_seed(0)
    model = create_model(preset, encoder_weights="random")
    for module in model.decoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return model.eval()


@pytest.fixture(scope="session")
def b4():
    """The paper's network with random weights; tests leave it as it is."""
    return lively("b4")


@pytest.fixture(scope="session")
def lite():
    """The small network; tests leave it as it is."""
    return lively("lite")


@pytest.fixture(scope="session")
def random_images():
    """Images (n, 3, height, width) in [0, 1], a function of the seed."""

    def draw(n, *size, seed=0):
        return torch.rand((n, 3, *size), generator=torch.Generator().manual_seed(seed))

    return draw

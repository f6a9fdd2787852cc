"""The fast copy: the same maps, no batch norms."""

import pytest
import torch
from torch import nn

from metauas.errors import InputError
from metauas.model import create_model, fast_copy, save_checkpoint


@pytest.fixture(scope="module")
def stirred():
    """A function that gives a network batch norms with statistics and weights of their own."""

    def stir(model):
        generator = torch.Generator().manual_seed(0)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.running_var, module.weight.data):
                    tensor.uniform_(0.7, 1.4, generator=generator)
                for tensor in (module.running_mean, module.bias.data):
                    tensor.uniform_(-0.2, 0.2, generator=generator)
        return model.eval()

    return stir


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("lite", {}),
        ("lite", {"encoder": "resnet18", "encoder_weights": "random"}),
        ("lite", {"encoder": "mobilenetv3_small_050", "encoder_weights": "random"}),
        ("b4", {"encoder": "test_efficientnet", "encoder_weights": "random"}),
    ],
)
def test_maps_agree_and_no_norm_is_left(random_images, stirred, preset, changes):
    torch.manual_seed(0)
    model = stirred(create_model(preset, **changes))
    queries, prompt = random_images(2, 64, 96), random_images(1, 64, 96, seed=1)
    expected = model.segment(queries, prompt)
    fast = fast_copy(model)
    assert expected.std() > 1e-4
    torch.testing.assert_close(fast.segment(queries, fast.encode_prompt(prompt)), expected, rtol=0, atol=1e-5)
    left = [name for name, module in fast.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert set(left) <= {"encoder.body.bn2"}  # of EfficientNet's head, which is not used
    torch.testing.assert_close(model.segment(queries, prompt), expected, rtol=0, atol=0)  # left as it was


def test_convolutions_lie_channels_last(lite):
    weights = [module.weight for module in fast_copy(lite).modules() if isinstance(module, nn.Conv2d)]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_a_copy_cannot_be_saved(lite, tmp_path):
    with pytest.raises(InputError, match="use the network that it was copied from"):
        save_checkpoint(fast_copy(lite), tmp_path / "folded")
    assert not (tmp_path / "folded").exists()


def test_a_copy_cannot_be_trained(lite):
    assert not any(parameter.requires_grad for parameter in fast_copy(lite).parameters())
    with pytest.raises(InputError, match="use the network that it was copied from"):
        fast_copy(lite).train()

"""Encoders: an image in, five feature stages out, shallow to deep."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """What the network needs of an encoder.

    Attributes:
        channels: channels of each stage, shallow to deep.
        strides: pixels of the input per feature of each stage, shallow to deep.
        mean, std: of each colour channel of images in [0, 1], as the encoder's weights expect them.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return one (B, C, H / stride, W / stride) tensor per stage."""
        raise NotImplementedError


def conv_norm_act(inputs: int, outputs: int) -> nn.Sequential:
    """3×3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def create_encoder(name: str, *, weights: str = "random") -> Encoder:
    """Create an encoder by timm's name.

    Args:
        name: any model of timm with feature stages (``timm.list_models()``).
        weights: ``random``; ``imagenet`` (from an installed weights package, the hub's cache or the hub, in this
            order); or the path of a file that timm can read.

    Raises:
        InputError: the name is not known, or the model has no feature stages.
        WeightsUnavailableError: the weights cannot be had; says what to do without a network.
    """
    from metauas.model.timm_encoders import create_timm_encoder  # only now: timm takes seconds to import

    return create_timm_encoder(name, weights=weights)


class Normalise(nn.Module):
    """Shifts and scales images in [0, 1] by the mean and deviation that an encoder expects.

    Args:
        mean: of each colour channel.
        std: standard deviation of each colour channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Return the normalised images."""
        return (images - self.mean) / self.std

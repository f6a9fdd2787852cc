"""Encoders: an image in, five feature stages out, shallow to deep."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """What the network needs of an encoder.

    Attributes:
        channels: channels of each stage, shallow to deep.
        strides: pixels of the input per feature of each stage, shallow to deep.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return one (B, C, H / stride, W / stride) tensor per stage."""
        raise NotImplementedError


#: Own encoders: the channels of their five stages, the three of the image included, and the residual blocks of each.
OWN_ENCODERS = {
    "nano": ((16, 32, 64, 96, 128), (1, 1, 1, 1, 1)),
    "micro": ((16, 32, 96, 144, 192), (1, 1, 2, 2, 2)),
}


class NanoEncoder(Encoder):
    """A small residual encoder that learns from nothing on a CPU.

    Every stage hands on the image itself as well, averaged to the stage's resolution: what changed in colour can be
    compared from the first step on, before any convolution has learnt to see.

    Args:
        size: one of ``OWN_ENCODERS``.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, size: str = "nano") -> None:
        super().__init__()
        self.channels, depths = OWN_ENCODERS[size]
        self.stages = nn.ModuleList(
            nn.Sequential(conv_norm_act(i, o - 3, stride=2), *(Residual(o - 3) for _ in range(depth)))
            for i, o, depth in zip((3, *self.channels[:-1]), self.channels, depths, strict=True)
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return the five stages at strides 2, 4, 8, 16 and 32."""
        features, feature = [], images
        for stage in self.stages:
            images = F.avg_pool2d(images, 2)
            feature = torch.cat([stage(feature), images], dim=1)
            features.append(feature)
        return features


class Residual(nn.Module):
    """x + ReLU(norm(conv(x))): one 3×3 convolution beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = conv_norm_act(channels, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return a tensor of the same shape."""
        return x + self.body(x)


def conv_norm_act(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """3×3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def create_encoder(name: str, *, weights: str = "random") -> Encoder:
    """Create an encoder by name.

    Args:
        name: ``nano``, ``micro``, or any model of timm with feature stages (``timm.list_models()``).
        weights: ``random``; ``imagenet`` (timm's pretrained ones, downloaded and cached by timm); or the path of a
            file that timm can read.

    Raises:
        InputError: the name is not known, or the model has no feature stages.
        WeightsUnavailableError: the weights cannot be had; says what to do without a network.
    """
    if name in OWN_ENCODERS:
        if weights != "random":
            raise InputError(f"the {name} encoder has no weights of its own ({weights!r}); use weights='random'")
        return NanoEncoder(name)
    from metauas.model.timm_encoders import create_timm_encoder  # only now: timm takes seconds to import

    return create_timm_encoder(name, weights=weights)


class Normalise(nn.Module):
    """Takes images in [0, 1] to ImageNet's mean 0 and deviation 1, which pretrained encoders expect."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Return the normalised images."""
        return (images - self.mean) / self.std

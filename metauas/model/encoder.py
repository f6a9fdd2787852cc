"""Encoders: an image in, five feature stages out, shallow to deep."""

from typing import cast

import timm
import torch
from jaxtyping import Float
from timm.models import EfficientNet, FeatureListNet
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError, did_you_mean
from metauas.model.pretrained import create_timm

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_PROBE = 64  # side in pixels of the blank image that a new timm encoder is tried on


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


class TimmEncoder(Encoder):
    """Any timm model that can hand out its feature stages; the last five are used."""

    body: FeatureListNet  # or one of its kin, with the same members

    def __init__(self, name: str, *, weights: str) -> None:
        super().__init__()
        self.body = cast(FeatureListNet, create_timm(name, weights=weights, features_only=True))
        self.channels = tuple(self.body.feature_info.channels()[-5:])
        self.strides = tuple(self.body.feature_info.reduction()[-5:])

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return the last five of the model's own stages."""
        return list(self.body(images)[-5:])


class EfficientNetEncoder(Encoder):
    """An EfficientNet of timm, from its stem on, as the official network takes it.

    timm's own first stage is the output of the first block (24 channels in b4); the official one is the stem's after
    norm and activation (48 channels). The unused head convolution stays, so that parameter counts and checkpoints
    agree with the official network's.
    """

    body: EfficientNet

    def __init__(self, name: str, *, weights: str) -> None:
        super().__init__()
        self.body = cast(EfficientNet, create_timm(name, weights=weights, num_classes=0))
        ends, strides = _stage_ends(self.body.blocks)
        self.ends = ends
        stem = self.body.conv_stem.out_channels
        self.channels = (stem, *(_out_channels(self.body.blocks[i]) for i in ends))
        self.strides = (2, *strides)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return the stem and the last block stage before each halving of the resolution."""
        feature = self.body.bn1(self.body.conv_stem(images))
        stages = [feature]
        for index, block in enumerate(self.body.blocks):
            feature = block(feature)
            if index in self.ends:
                stages.append(feature)
        return stages


def _stage_ends(blocks: nn.Sequential) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return, for strides 4 to 32, the last block stage at that stride, and the strides."""
    last: dict[int, int] = {}
    stride = 2
    for index, stage in enumerate(blocks):
        convolutions = [m for m in stage.modules() if isinstance(m, nn.Conv2d)]
        stride *= max(m.stride[0] for m in convolutions)
        last[stride] = index
    strides = tuple(s for s in sorted(last) if s > 2)
    return tuple(last[s] for s in strides), strides


def _out_channels(stage: nn.Module) -> int:
    convolutions = [m for m in stage.modules() if isinstance(m, nn.Conv2d)]
    return int(convolutions[-1].out_channels)


class NanoEncoder(Encoder):
    """A small residual encoder that learns from nothing on a CPU.

    Every stage hands on the image itself as well, averaged to the stage's resolution: what changed in colour can be
    compared from the first step on, before any convolution has learnt to see.

    Args:
        widths: channels of the five stages, the three of the image included.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96, 128)) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self.stages = nn.ModuleList(
            nn.Sequential(conv_norm_act(i, o - 3, stride=2), Residual(o - 3))
            for i, o in zip((3, *widths[:-1]), widths, strict=True)
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
        name: ``nano``, or any model of timm with feature stages (``timm.list_models()``).
        weights: ``random``; ``imagenet`` (timm's pretrained ones, downloaded and cached by timm); or the path of a
            file that timm can read.

    Raises:
        InputError: the name is not known, or the model has no feature stages.
        WeightsUnavailableError: the weights cannot be had; says what to do without a network.
    """
    if name == "nano":
        if weights != "random":
            raise InputError(f"the nano encoder has no weights of its own ({weights!r}); use weights='random'")
        return NanoEncoder()
    if not timm.is_model(name):
        raise InputError(f"encoder {name!r} is not known to timm{did_you_mean(name, ['nano', *timm.list_models()])}")
    family = EfficientNetEncoder if "efficientnet" in name and "v2" not in name else TimmEncoder
    try:
        encoder = family(name, weights=weights)
        _check_stages(encoder)
    except (AssertionError, RuntimeError) as error:  # what timm's models raise for what they cannot do
        raise InputError(
            f"encoder {name!r} does not hand out feature stages for images of any size ({error}); "
            "choose a convolutional one, such as 'resnet18'"
        ) from error
    return encoder


@torch.no_grad()
def _check_stages(encoder: Encoder) -> None:
    """Try a blank image: some models of timm want one fixed size, or hand out what they do not declare."""
    found = [tuple(stage.shape) for stage in encoder.eval()(torch.zeros(1, 3, _PROBE, _PROBE))]
    encoder.train()
    declared = [(1, c, _PROBE // s, _PROBE // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)]
    if found != declared:
        raise RuntimeError(f"stages of shape {found} instead of {declared}")


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

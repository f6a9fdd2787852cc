"""Encoders: an image in, five feature stages out, shallow to deep. All are timm's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metauas.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from timm.models import EfficientNet, FeatureListNet

_PROBE = 64  # side in pixels of the blank image that tests a new encoder


class Encoder(nn.Module):
    """A model of timm that returns the features of its stages.

    Attributes:
        channels: channels of each stage, shallow to deep.
        strides: pixels of the input per feature of each stage, shallow to deep.
        mean, std: of each colour channel of images in [0, 1], as the weights expect them (timm's own settings).
    """

    def __init__(self, body: nn.Module, *, channels: Sequence[int], strides: Sequence[int]) -> None:
        from timm.data.config import resolve_model_data_config  # only now: timm takes seconds to import

        super().__init__()
        self.body = body
        self.channels, self.strides = tuple(channels), tuple(strides)
        expected = resolve_model_data_config(body)
        self.mean: tuple[float, ...] = tuple(expected["mean"])
        self.std: tuple[float, ...] = tuple(expected["std"])

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return one (B, C, H / stride, W / stride) tensor per stage."""
        raise NotImplementedError


def create_encoder(name: str, *, weights: str = "random") -> Encoder:
    """Create an encoder by the name of any model of timm with feature stages (``timm.list_models()``).

    Weights are ``random``; ``imagenet`` (from an installed weights package, the hub's cache or the hub, in this
    order); or the path of a file that timm can read.

    Raises:
        InputError: the name is not known, or the model has no feature stages.
        WeightsUnavailableError: the weights are not available; says what to do without a network.
    """
    import timm

    if not timm.is_model(name):
        raise InputError(f"encoder {name!r} is not known to timm{did_you_mean(name, timm.list_models())}")
    family = EfficientNetEncoder if "efficientnet" in name and "v2" not in name else TimmEncoder
    try:
        encoder = family(name, weights=weights)
        _check_stages(encoder)
    except (AssertionError, RuntimeError) as error:  # timm raises these for unsupported options
        raise InputError(
            f"encoder {name!r} does not hand out feature stages for images of any size ({error}); "
            "choose a convolutional one, such as 'resnet18'"
        ) from error
    return encoder


class TimmEncoder(Encoder):
    """Any timm model with ``features_only``; its last five stages are used."""

    body: "FeatureListNet"  # or one of its kin, with the same members

    def __init__(self, name: str, *, weights: str) -> None:
        from metauas.model.weights.pretrained import create_timm

        body = cast("FeatureListNet", create_timm(name, weights=weights, features_only=True))
        super().__init__(body, channels=body.feature_info.channels()[-5:], strides=body.feature_info.reduction()[-5:])

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return the last five of the model's own stages."""
        return list(self.body(images)[-5:])


class EfficientNetEncoder(Encoder):
    """An EfficientNet of timm with the stages of the official network, from the stem on.

    The first stage of timm is the output of the first block (24 channels in b4); the official one is the stem after
    norm and activation (48 channels). The unused head convolution stays, so that parameter counts and checkpoints
    equal those of the official network.
    """

    body: "EfficientNet"

    def __init__(self, name: str, *, weights: str) -> None:
        from metauas.model.weights.pretrained import create_timm

        body = cast("EfficientNet", create_timm(name, weights=weights, num_classes=0))
        deep = [stage for stage in body.feature_info if stage["reduction"] > 2]
        channels = [body.conv_stem.out_channels, *(stage["num_chs"] for stage in deep)]
        super().__init__(body, channels=channels, strides=[2, *(stage["reduction"] for stage in deep)])
        self.ends = tuple(stage["stage"] - 1 for stage in deep)  # timm counts from 1

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return the stem and the last block stage before each halving of the resolution."""
        feature = self.body.bn1(self.body.conv_stem(images))
        stages = [feature]
        for index, block in enumerate(self.body.blocks):
            feature = block(feature)
            if index in self.ends:
                stages.append(feature)
        return stages


@torch.no_grad()
def _check_stages(encoder: Encoder) -> None:
    """Run a blank image: some timm models need a fixed size, or return other shapes than they declare."""
    found = [tuple(stage.shape) for stage in encoder.eval()(torch.zeros(1, 3, _PROBE, _PROBE))]
    encoder.train()
    declared = [(1, c, _PROBE // s, _PROBE // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)]
    if found != declared:
        raise RuntimeError(f"stages of shape {found} instead of {declared}")


class Normalise(nn.Module):
    """Shifts and scales images in [0, 1] by the mean and deviation of each channel that an encoder expects."""

    mean: Tensor
    std: Tensor

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Return the normalised images."""
        return (images - self.mean) / self.std

"""Every choice that shapes the network, and the presets."""

from typing import Annotated, Literal

from pydantic import Field

from metauas.errors import InputError, did_you_mean
from metauas.settings import Settings


class ModelConfig(Settings):
    """The choices that make up a network.

    Attributes:
        preset: the preset this started from.
        encoder: ``nano`` or the name of any timm model with feature stages.
        encoder_weights: ``random``, ``imagenet`` or the path of a weights file; used when a network is created, not
            when a checkpoint is loaded.
        freeze_encoder: keep the encoder as it is (the paper does).
        alignment: ``none``, ``hard``, ``soft``.
        similarity: ``dot`` (official) or ``cosine``.
        fusion: ``concat`` (official), ``add``, ``absdiff``.
        aligned_stages: how many of the deepest stages are aligned.
        decoder_channels: channels of the decoder's blocks, deep to shallow.
        decoder_attention: ``none`` or ``scse``.
    """

    preset: str
    encoder: str
    encoder_weights: str = "random"
    freeze_encoder: bool = False
    alignment: Literal["none", "hard", "soft"] = "soft"
    similarity: Literal["dot", "cosine"] = "dot"
    fusion: Literal["concat", "add", "absdiff"] = "concat"
    aligned_stages: Annotated[int, Field(ge=1, le=4)] = 3
    decoder_channels: tuple[int, ...]
    decoder_attention: Literal["none", "scse"] = "none"


#: ``b4`` is the paper's network. ``nano`` learns from nothing on a CPU within minutes; cosine similarity and absolute
#: difference are what lets it leave the plateau early.
PRESETS = {
    "b4": ModelConfig(
        preset="b4",
        encoder="tf_efficientnet_b4",
        encoder_weights="imagenet",
        freeze_encoder=True,
        decoder_channels=(256, 128, 64, 64, 48),
        decoder_attention="scse",
    ),
    "nano": ModelConfig(
        preset="nano",
        encoder="nano",
        similarity="cosine",
        fusion="absdiff",
        aligned_stages=4,
        decoder_channels=(96, 64, 32, 16, 8),
    ),
}


def model_config(preset: str, **changes: object) -> ModelConfig:
    """Return a preset's configuration with some choices changed.

    Raises:
        InputError: the preset or a choice is not known, or a value is not allowed; names it and what would be right.
    """
    if preset not in PRESETS:
        raise InputError(
            f"preset {preset!r} is not known{did_you_mean(preset, PRESETS)}; presets are {', '.join(PRESETS)}"
        )
    return ModelConfig.parse({**PRESETS[preset].model_dump(), **changes}, origin="model configuration")

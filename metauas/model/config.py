"""Every choice that shapes the network, and the presets."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from metauas.errors import check_choice
from metauas.settings import Settings

#: Choices by which a network is told from its preset in tables.
_LABELLED = ("encoder", "freeze_encoder", "alignment", "similarity", "fusion", "aligned_stages", "decoder")


class ModelConfig(Settings):
    """The choices that make up a network.

    Attributes:
        preset: the preset this started from.
        encoder: the name of any timm model with feature stages.
        encoder_weights: ``random``, ``imagenet`` or the path of a weights file; used when a network is created, not
            when a checkpoint is loaded.
        freeze_encoder: keep the encoder as it is (the paper does).
        alignment: ``none``, ``hard``, ``soft``.
        similarity: ``dot`` (official) or ``cosine``.
        fusion: ``concat`` (official), ``add``, ``absdiff``, ``contrast``, ``nearest``.
        aligned_stages: how many of the deepest stages are aligned.
        decoder: ``unet`` (official) or ``fpn``.
        decoder_channels: ``unet``: channels of its blocks, deep to shallow; with fewer than the encoder has stages the
            map is enlarged bilinearly at the end. ``fpn``: two numbers, of the pyramid and of its segmentation blocks.
        decoder_attention: ``none`` or ``scse``, which belongs to the U-Net.
        decoder_merge: how the FPN's levels are merged, ``sum`` or ``concat``.
    """

    preset: Literal["lite", "b4"]
    encoder: str
    encoder_weights: str = "random"
    freeze_encoder: bool = False
    alignment: Literal["none", "hard", "soft"] = "soft"
    similarity: Literal["dot", "cosine"] = "dot"
    fusion: Literal["concat", "add", "absdiff", "contrast", "nearest"] = "concat"
    aligned_stages: Annotated[int, Field(ge=1, le=4)] = 3
    decoder: Literal["unet", "fpn"] = "unet"
    decoder_channels: tuple[Annotated[int, Field(ge=1)], ...]
    decoder_attention: Literal["none", "scse"] = "none"
    decoder_merge: Literal["sum", "concat"] = "sum"

    @property
    def label(self) -> str:
        """What tables call the network: its preset, and the choices that differ from it."""
        own = PRESETS[self.preset]
        changed = [f"{name} {getattr(self, name)}" for name in _LABELLED if getattr(self, name) != getattr(own, name)]
        return ", ".join([self.preset, *changed])

    # info is a ValidationInfo, a protocol that shape checks at run time cannot follow
    @field_validator("decoder_channels")
    @classmethod
    def _fit_the_decoder(cls, channels: tuple[int, ...], info: Any) -> tuple[int, ...]:
        decoder, aligned = info.data.get("decoder"), info.data.get("aligned_stages", 1)
        if decoder == "fpn" and len(channels) != 2:
            raise PydanticCustomError("decoder", "decoder='fpn' takes two numbers, (pyramid, segmentation)")
        least = max(1, aligned - 1)  # an aligned stage that no block reads would never learn
        if decoder == "unet" and len(channels) < least:
            wanted = "aligned_stages={aligned} needs a number for each of at least {least} blocks"
            raise PydanticCustomError("decoder", wanted, {"aligned": aligned, "least": least})
        return channels

    @field_validator("decoder_attention", "decoder_merge")
    @classmethod
    def _belong_to_the_decoder(cls, value: str, info: Any) -> str:
        owner = {"scse": "unet", "concat": "fpn"}.get(value)
        if owner is not None and info.data.get("decoder", owner) != owner:
            raise PydanticCustomError("decoder", "belongs to decoder='{owner}'; leave it out", {"owner": owner})
        return value


#: ``b4`` is the paper's network. ``lite`` has the same form with a smaller encoder, whose weights come by pip; with
#: cosine similarity, the query's features and their differences it learns within minutes (docs/lite.md).
PRESETS = {
    "lite": ModelConfig(
        preset="lite",
        encoder="tf_efficientnet_lite0",
        encoder_weights="imagenet",
        freeze_encoder=True,
        similarity="cosine",
        fusion="nearest",
        decoder_channels=(160, 96, 64, 32),
    ),
    "b4": ModelConfig(
        preset="b4",
        encoder="tf_efficientnet_b4",
        encoder_weights="imagenet",
        freeze_encoder=True,
        decoder_channels=(256, 128, 64, 64, 48),
        decoder_attention="scse",
    ),
}

#: Channels that take the place of the U-Net's when a preset is given the FPN: 256 and 256 are the author's, those of
#: ``lite`` make the FPN about as large as its U-Net.
_FPN_CHANNELS = {"lite": (160, 96), "b4": (256, 256)}


def network_config(network: str | Mapping[str, Any] = "lite", **changes: object) -> ModelConfig:
    """Return the configuration that a preset's name or a mapping of choices describes, with some choices changed.

    With ``decoder="fpn"`` the choices that belong to the U-Net give way to the FPN's own.

    Args:
        network: a name such as ``lite``, short for ``{"preset": "lite"}``, or choices over those of their ``preset``,
            by default ``lite``.
        **changes: further choices of ``ModelConfig``.

    Raises:
        InputError: the preset or a choice is not known, or a value is not allowed; names it and what would be right.
    """
    given = {"preset": network} if isinstance(network, str) else network
    choices = {"preset": "lite", **given, **changes}
    preset = check_choice(name="preset", value=choices["preset"], choices=PRESETS)
    own = PRESETS[preset].model_dump()
    if choices.get("decoder") == "fpn":
        own |= {"decoder_channels": _FPN_CHANNELS[preset], "decoder_attention": "none"}
    return ModelConfig.parse({**own, **choices}, origin="model configuration")

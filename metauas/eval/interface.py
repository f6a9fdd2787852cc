"""The networks that evaluation accepts: their interface, and the variants that get rows of their own in tables."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from metauas.errors import InputError
from metauas.eval.settings import EvalSettings
from metauas.model import MetaUAS, MetaUASPlus, ScaleAverage, TiledNetwork, with_plus


@runtime_checkable
class PromptedNetwork(Protocol):
    """A network that segments queries by normal images: ``MetaUAS``, a wrapper around it, or your own.

    The package's wrappers are ``MetaUASPlus``, ``ScaleAverage`` and ``TiledNetwork``. Images are float32 RGB in [0, 1]
    on any device. Encoded prompts may have any type.
    """

    @property
    def label(self) -> str:
        """Its name in tables, such as ``lite`` or ``lite + visual similarity``."""

    @property
    def training(self) -> bool:
        """Whether it is in training mode, in which evaluation refuses it."""

    def embed(self, images: Tensor, /) -> Tensor:
        """Return vectors (B, D) of images (B, 3, H, W); prompts ``nearest`` and ``pool`` are chosen by their cosine."""

    def encode_prompt(self, prompt: Tensor, /) -> Any:
        """Encode prompts (1 or B, 3, H, W), or K for each query, (1 or B, K, 3, H, W), for use with many queries."""

    def segment(self, queries: Tensor, prompt: Any, /) -> Tensor:
        """Return maps (B, 1, H, W) of queries (B, 3, H, W) for encoded prompts, one for all or one for each."""


def check_evaluation_mode(model: PromptedNetwork) -> None:
    """Raise ``InputError`` if the network is in training mode, in which batch norms depend on the test images."""
    if model.training:
        raise InputError("the network is in training mode; call model.eval() first")


def variants_of(model: MetaUAS, settings: EvalSettings) -> list[ScaleAverage | MetaUASPlus | TiledNetwork]:
    """Return the variants that an evaluation asks for: the mean over several sizes, MetaUAS★+, both, and tiles.

    Raises:
        InputError: the network's encoder has no stage that ★+ compares.
        WeightsUnavailableError: CLIP's weights cannot be had; says what to do without a network.
    """
    plus = [with_plus(model, settings.plus)] if settings.plus != "none" else []
    networks: list[MetaUAS | MetaUASPlus] = [model, *plus]
    averaged = [ScaleAverage(network) for network in networks] if settings.average_scales else []
    tiled = [TiledNetwork(model, side=settings.tiles)] if settings.tiles else []
    return [*averaged, *plus, *tiled]

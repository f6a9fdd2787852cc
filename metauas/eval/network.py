"""The interface of networks that evaluation accepts, and their device."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from metauas.errors import InputError


@runtime_checkable
class PromptedNetwork(Protocol):
    """A network that segments queries by normal images: ``MetaUAS``, a wrapper around it, or your own.

    The package's wrappers are ``MetaUASPlus``, ``ScaleAverage`` and the copies of ``fast_copy``. Images are float32 RGB
    in [0, 1] on any device. Encoded prompts may have any type.
    """

    @property
    def label(self) -> str:
        """Its name in tables, such as ``lite`` or ``lite + visual similarity``."""
        ...

    @property
    def training(self) -> bool:
        """Whether it is in training mode, in which evaluation refuses it."""
        ...

    def embed(self, images: Tensor, /) -> Tensor:
        """Return vectors (B, D) of images (B, 3, H, W); prompts ``nearest`` and ``pool`` are chosen by their cosine."""
        ...

    def encode_prompt(self, prompt: Tensor, /) -> Any:
        """Encode prompts (1 or B, 3, H, W), or K for each query, (1 or B, K, 3, H, W), for use with many queries."""
        ...

    def segment(self, queries: Tensor, prompt: Any, /) -> Tensor:
        """Return maps (B, 1, H, W) of queries (B, 3, H, W) for encoded prompts, one for all or one for each."""
        ...


def check_evaluation_mode(model: PromptedNetwork) -> None:
    """Check that the network is in evaluation mode, in which batch norms do not depend on the test images.

    Raises:
        InputError: the network is in training mode.
    """
    if model.training:
        raise InputError("the network is in training mode; call model.eval() first")

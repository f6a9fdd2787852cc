"""The mean over several image sizes: a wrapper around a network, which sees best at the sizes it was trained at."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model.network import MetaUAS
from metauas.model.variants.plus import MetaUASPlus

#: Sizes as shares of the images' own: at 256 pixels 192, 128 and 96, at which ``lite`` was trained. With 256 in place
#: of 96, validation products lose 2 points of I-AUROC and 4 of P-AP, and it costs the most.
SCALES = (0.75, 0.5, 0.375)


class ScaleAverage(nn.Module):
    """A network whose logits are averaged over several sizes of query and prompt.

    It has the network's own methods, so that it can take the network's place.

    Args:
        model: the network, or the network with a visual similarity, in evaluation mode.
        scales: sizes, as shares of the images' own, above 0 and at most 1.

    Raises:
        InputError: a scale is out of range.

    Example:
        >>> averaged = ScaleAverage(load_checkpoint("lite"))
        >>> anomaly_map = averaged.segment(queries, prompt)  # (B, 1, H, W) in [0, 1]
    """

    def __init__(self, model: MetaUAS | MetaUASPlus, scales: Sequence[float] = SCALES) -> None:
        super().__init__()
        if not scales or any(not 0 < scale <= 1 for scale in scales):
            raise InputError(f"scales={tuple(scales)}: give one or more shares above 0 and at most 1")
        self.model = model
        self.scales = tuple(scales)
        self.train(model.training)

    @property
    def label(self) -> str:
        """What tables call it: the network, and how many sizes are averaged."""
        return f"{self.model.label}, {len(self.scales)} scales"

    @torch.no_grad()
    def encode_prompt(self, prompt: Float[Tensor, "b *k 3 h w"]) -> tuple[Any, ...]:
        """Encode a prompt, or K of them, once at each size."""
        return tuple(self.model.encode_prompt(_scaled(prompt, scale)) for scale in self.scales)

    @torch.no_grad()
    def segment(self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | tuple[Any, ...]) -> Float[Tensor, "b 1 h w"]:
        """Return the maps of ``queries`` for a prompt image or an encoded one.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        return self.logits(queries, prompt).sigmoid()

    def logits(self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | tuple[Any, ...]) -> Float[Tensor, "b 1 h w"]:
        """Return the mean of the logits at all sizes; arguments and errors are those of ``segment``."""
        encoded = self.encode_prompt(prompt) if isinstance(prompt, Tensor) else prompt
        logits = [
            F.interpolate(
                self.model.logits(_scaled(queries, scale), features), size=queries.shape[-2:], mode="bilinear"
            )
            for scale, features in zip(self.scales, encoded, strict=True)
        ]
        return torch.stack(logits).mean(dim=0)

    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return the network's own vectors, of the images' own size (paper, section 3.4)."""
        return self.model.embed(images)


def _scaled(images: Float[Tensor, "b *k 3 h w"], scale: float) -> Float[Tensor, "b *k 3 h2 w2"]:
    return resized(images, size=[max(1, round(side * scale)) for side in images.shape[-2:]])


def resized(images: Float[Tensor, "b *k 3 h w"], *, size: Sequence[int]) -> Float[Tensor, "b *k 3 h2 w2"]:
    """Return images, or K of them each, at ``size`` (height, width), bilinear and antialiased."""
    if images.shape[-2:] == tuple(size):
        return images
    scaled = F.interpolate(images.flatten(0, -4), size=tuple(size), mode="bilinear", antialias=True)
    return scaled.unflatten(0, images.shape[:-3])

"""Pictures with objects, and the sources that draw them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from metauas.errors import InputError

#: Draws an image (H, W, 3) with a fault, from a generator and a kind of change.
Faulty = Callable[[np.random.Generator, str], np.ndarray]


@dataclass(frozen=True)
class Picture:
    """An image with the masks of its objects.

    Attributes:
        image: (H, W, 3) float32 RGB in [0, 1].
        objects: masks (H, W), True on one object each; may be empty.
        name: its origin, for reports and for keeping training and validation apart.
        stationary: True for a texture that looks alike everywhere: any other place of it is as normal.
        sibling: another normal image (H, W, 3) of the same product or material, which the prompt may show instead.
        faulty: draws the same picture with a fault of a given kind (``KINDS``). Without it, objects are inpainted
            and pasted.
    """

    image: Float32[np.ndarray, "h w 3"]
    objects: tuple[Bool[np.ndarray, "h w"], ...] = field(default=())
    name: str = ""
    stationary: bool = False
    sibling: Float32[np.ndarray, "h w 3"] | None = None
    faulty: Faulty | None = None


@runtime_checkable
class PictureSource(Protocol):
    """Anything that draws pictures of a given size as a function of the generator alone."""

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a picture of ``size`` × ``size`` pixels."""
        ...


@dataclass(frozen=True)
class MixedSource:
    """Draws from several sources in given shares."""

    sources: tuple[PictureSource, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.shares) or not sum(self.shares) > 0 or min(self.shares) < 0:
            raise InputError(f"shares={self.shares} for {len(self.sources)} sources; give each a share from 0 up")

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a picture of one of the sources, chosen by the shares."""
        weights = np.asarray(self.shares) / np.sum(self.shares)
        return self.sources[int(rng.choice(len(self.sources), p=weights))].draw(rng, size=size)

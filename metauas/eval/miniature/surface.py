"""Surfaces with colour, relief, gloss and outline, in length units of the picture.

One unit is half the side of the picture: the view spans -1 … 1 in x (right) and y (down). Surfaces are drawn on a
larger square canvas, -SPAN … SPAN, so that a rotation shows no empty corners.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, wraps

import cv2
import numpy as np
from jaxtyping import Float

SPAN = 1.3
Colour = tuple[float, float, float]
Span = tuple[float, float]  # smallest and largest value, in units
#: Draws the product of one image on a canvas of so many pixels a side.
Draw = Callable[[np.random.Generator, int], "Surface"]
ANYWHERE: Span = (0.0, 2.0)


def rgb(colour: Colour) -> Float[np.ndarray, "3"]:
    """Return a colour as an array that multiplies images."""
    return np.array(colour, dtype=np.float32)


@dataclass(frozen=True)
class Surface:
    """Maps of one surface. Methods return a new surface, since products are drawn once and shared.

    All maps are float32; covers are opacities (H, W) in [0, 1].

    Attributes:
        albedo: RGB reflectance (H, W, 3) in [0, 1].
        height: relief (H, W) in units.
        gloss: strength (H, W) of highlights in [0, 1].
        alpha: 1 (H, W) where the product is, 0 where the backdrop shows.
    """

    albedo: Float[np.ndarray, "h w 3"]
    height: Float[np.ndarray, "h w"]
    gloss: Float[np.ndarray, "h w"]
    alpha: Float[np.ndarray, "h w"]

    @property
    def canvas(self) -> int:
        """Side of the canvas in pixels."""
        return int(self.height.shape[0])

    def paint(self, cover: Float[np.ndarray, "h w"], colour: Colour | Float[np.ndarray, "h w 3"]) -> "Surface":
        """Lay ``colour`` over the albedo with opacity ``cover``."""
        opacity, wanted = cover.astype(np.float32)[..., None], np.asarray(colour, dtype=np.float32)
        return replace(self, albedo=self.albedo + opacity * (wanted - self.albedo))

    def shade(self, factor: Float[np.ndarray, "h w"]) -> "Surface":
        """Multiply the albedo."""
        return replace(self, albedo=np.clip(self.albedo * factor.astype(np.float32)[..., None], 0, 1))

    def lift(self, offset: Float[np.ndarray, "h w"]) -> "Surface":
        """Add to the relief."""
        return replace(self, height=self.height + offset.astype(np.float32))

    def level(self, cover: Float[np.ndarray, "h w"], height: float) -> "Surface":
        """Replace the relief by one height where ``cover`` is 1."""
        return replace(self, height=self.height + cover.astype(np.float32) * np.float32(height - self.height))

    def polish(self, cover: Float[np.ndarray, "h w"], gloss: float) -> "Surface":
        """Set the gloss where ``cover`` is 1."""
        return replace(self, gloss=self.gloss + cover.astype(np.float32) * np.float32(gloss - self.gloss))

    def replaced(self, cover: Float[np.ndarray, "h w"], other: "Surface") -> "Surface":
        """Show ``other`` where ``cover`` is 1."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Surface(*(a + (cover if a.ndim == 2 else cover[..., None]) * (b - a) for a, b in pairs))

    def mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> "Surface":
        """Apply ``change``, which moves or cuts out pixels, to each of the four maps."""
        return Surface(*map(change, vars(self).values()))

    def cut(self, cover: Float[np.ndarray, "h w"]) -> "Surface":
        """Remove the product where ``cover`` is 1."""
        return replace(self, alpha=self.alpha * (1 - cover.astype(np.float32)))


def plain(alpha: Float[np.ndarray, "h w"], *, colour: Colour, gloss: float = 0.0) -> Surface:
    """Return a flat surface of one colour with the outline ``alpha``."""
    albedo = np.broadcast_to(rgb(colour), (*alpha.shape, 3))
    return Surface(albedo, np.zeros_like(alpha), np.full_like(alpha, gloss), alpha)


def drawn_once(draw: Callable[[int], Surface]) -> Draw:
    """Return a ``Draw`` of a product that is the same in every image."""
    cached = lru_cache(maxsize=4)(draw)
    return wraps(draw)(lambda rng, canvas: cached(canvas))


@lru_cache(maxsize=8)
def grid(canvas: int) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "c c"]]:
    """Return the x and y of every canvas pixel in units."""
    axis = ((np.arange(canvas) + 0.5) / canvas * 2 - 1) * SPAN
    x, y = np.meshgrid(axis.astype(np.float32), axis.astype(np.float32))
    return x, y


def per_unit(canvas: int) -> float:
    """Return the canvas pixels per unit."""
    return canvas / (2 * SPAN)


def edge(distance: Float[np.ndarray, "c c"], *, soft: float = 0.0) -> Float[np.ndarray, "c c"]:
    """Turn a signed distance (positive inside) into a cover whose rim is ``soft`` units or one pixel wide."""
    width = max(soft, 1 / per_unit(len(distance)))
    return np.clip(distance / width + 0.5, 0, 1).astype(np.float32)


def inside(alpha: Float[np.ndarray, "c c"]) -> Float[np.ndarray, "c c"]:
    """Return the distance in units of every covered pixel from the outline."""
    solid = (alpha > 0.5).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(solid, cv2.DIST_L2, 5)) / per_unit(len(alpha))


def blur(values: Float[np.ndarray, "c c *d"], *, units: float) -> Float[np.ndarray, "c c *d"]:
    """Blur by a Gaussian whose sigma is given in units."""
    sigma = units * per_unit(len(values))
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma)) if sigma > 0.2 else values


def bevel(alpha: Float[np.ndarray, "h w"], *, width: float, depth: float) -> Float[np.ndarray, "h w"]:
    """Return a relief that falls by ``depth`` over the last ``width`` units before the outline."""
    ramp = np.clip(inside(alpha) / width, 0, 1)
    return blur(depth * np.sin(ramp * np.pi / 2).astype(np.float32), units=width / 6)


def mottle(
    rng: np.random.Generator, *, canvas: int, units: float, pixels: int | None = None
) -> Float[np.ndarray, "pixels pixels"]:
    """Return blurred white noise, mean 0 and deviation 1, with a grain of about ``units``; ``pixels`` is its side."""
    pixels = pixels or canvas
    step = max(1, int(units * per_unit(canvas) / 3))  # broad grain needs few samples
    small = rng.standard_normal((pixels // step + 2, pixels // step + 2), dtype=np.float32)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), max(units * per_unit(canvas) / step / 2, 0.3)))
    noise = np.asarray(cv2.resize(small, (pixels, pixels), interpolation=cv2.INTER_CUBIC))
    return np.asarray((noise - noise.mean()) / noise.std())

"""Drawn scenes: parts with exact masks on a background."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from metauas.synthesis.drawn.shapes import draw_shape
from metauas.synthesis.drawn.textures import draw_texture, oblique_axis
from metauas.synthesis.pictures.picture import Picture


@dataclass(frozen=True)
class DrawnTextures:
    """Textures that fill the whole picture; they have no objects and look alike everywhere.

    Attributes:
        places: draw a larger texture; the sibling shows another place of it.
    """

    places: bool = False

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a stationary picture (size, size, 3)."""
        if not self.places:
            return Picture(image=draw_texture(rng, size=size), name="texture", stationary=True)
        large = draw_texture(rng, size=round(size * rng.uniform(1.2, 2.0)))
        first, second = large[:size, :size], large[-size:, -size:]
        first, second = (first, second) if rng.random() < 0.5 else (second, first)
        image, sibling = np.ascontiguousarray(first), np.ascontiguousarray(second)
        return Picture(image=image, name="texture", stationary=True, sibling=sibling)


@dataclass(frozen=True)
class DrawnScenes:
    """Parts of random shape and material on a plain or textured ground.

    Half of the scenes are one large body that carries smaller parts, as most products do; the others are loose parts.
    """

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a picture (size, size, 3) and the visible mask of every part."""
        image, body, parts = draw_ground(rng, size=size), None, list[np.ndarray]()
        if rng.random() < 0.5:
            centre = tuple(size * rng.uniform(0.42, 0.58, 2))
            body = draw_shape(rng, size=size, centre=centre, radius=size * rng.uniform(0.28, 0.45))
            image = paint(rng, image=image, part=body)
        for _ in range(int(rng.integers(1, 7))):
            part = _part(rng, size=size, body=body)
            image = paint(rng, image=image, part=part)
            parts = [earlier & ~part for earlier in parts] + [part]
        return Picture(image=image, objects=tuple(p for p in parts if p.any()), name="scene")


def draw_ground(rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "s s 3"]:
    """A ground of one colour with soft light, or a texture of low contrast."""
    plain = plain_colour(rng)
    light = slanting_light(rng, size=size, strongest=0.3)[..., None]
    ground = plain if rng.random() < 0.5 else 0.7 * plain + 0.3 * draw_texture(rng, size=size)
    return np.clip(ground * light, 0, 1).astype(np.float32)


def slanting_light(rng: np.random.Generator, *, size: int, strongest: float) -> Float32[np.ndarray, "size size"]:
    """Return the factor (size, size) of light that grows to one side, by at most ``strongest``."""
    return np.asarray(1 + np.float32(rng.uniform(0, strongest)) * oblique_axis(rng, size), dtype=np.float32)


def plain_colour(rng: np.random.Generator) -> Float32[np.ndarray, "3"]:
    """One colour, more often greyish than not."""
    cast = rng.uniform(-0.1, 0.1, 3) if rng.random() < 0.6 else rng.uniform(-0.5, 0.5, 3)
    return np.clip(rng.uniform(0.05, 0.95) + cast, 0, 1).astype(np.float32)


def _part(rng: np.random.Generator, *, size: int, body: np.ndarray | None) -> Bool[np.ndarray, "s s"]:
    """A small part, on the body if there is one."""
    where = np.argwhere(body) if body is not None and body.any() else None
    y, x = where[int(rng.integers(len(where)))] if where is not None else size * rng.uniform(0.1, 0.9, 2)
    return draw_shape(rng, size=size, centre=(float(x), float(y)), radius=size * rng.uniform(0.04, 0.16))


def paint(
    rng: np.random.Generator, *, image: Float32[np.ndarray, "s s 3"], part: Bool[np.ndarray, "s s"]
) -> Float32[np.ndarray, "s s 3"]:
    """Lay a part of random material on ``image``: plain or textured, lit from one side, with a soft, darker edge."""
    size = image.shape[0]
    textured = rng.random() < 0.4
    surface = draw_texture(rng, size=size) if textured else plain_colour(rng)
    light = slanting_light(rng, size=size, strongest=0.6)
    softness = rng.uniform(0.4, 0.9)
    return lay(image, part=part, surface=surface, light=light, rim=float(rng.uniform(0, 2)), softness=softness)


def lay(
    image: Float32[np.ndarray, "s s 3"],
    *,
    part: Bool[np.ndarray, "s s"],
    surface: Float32[np.ndarray, "..."],
    light: Float32[np.ndarray, "s s"],
    rim: float,
    softness: float,
) -> Float32[np.ndarray, "s s 3"]:
    """Return ``image`` with a part on it.

    Args:
        image: the background.
        part: mask of the part.
        surface: its material, an image or a colour (3,).
        light: factor of the light on it.
        rim: darkening of its edge, 0 for none.
        softness: Gaussian sigma of its edge, pixels.
    """
    alpha = cv2.GaussianBlur(part.astype(np.float32), (0, 0), softness)
    left, top, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
    window = slice(top, top + height), slice(left, left + width)  # beyond it nothing changes
    shown = surface[window] if surface.ndim == 3 else surface
    painted, alpha = image.copy(), alpha[window][..., None]
    edge = 1 - np.float32(rim) * alpha * (1 - alpha)
    painted[window] = edge * ((1 - alpha) * image[window] + alpha * np.minimum(shown * light[window][..., None], 1))
    return painted

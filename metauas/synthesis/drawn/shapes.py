"""Closed outlines: the parts of drawn scenes, and shapes for pictures without objects."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

Shape = Callable[[np.random.Generator], np.ndarray]


def draw_shape(
    rng: np.random.Generator, *, size: int, centre: tuple[float, float], radius: float
) -> Bool[np.ndarray, "size size"]:
    """Draw one filled random shape of about ``radius`` pixels around ``centre`` (x, y) into a (size, size) mask."""
    return fill_polygon(random_outline(rng) * radius + np.asarray(centre), size=size)


def random_outline(
    rng: np.random.Generator, *, shapes: Sequence[Shape] | None = None, narrowest: float = 0.4
) -> np.ndarray:
    """Return an outline of one of ``shapes``, narrowed and turned at random: (n, 2) points within 1 of (0, 0).

    ``shapes`` draw one outline each, by default ``OUTLINES``; ``narrowest`` is the least ratio of width to length.
    """
    shapes = shapes or OUTLINES
    outline = shapes[int(rng.integers(len(shapes)))](rng)
    aspect = rng.uniform(narrowest, 1.0)
    return turn_points(outline * [1.0, aspect], angle=rng.uniform(0, 2 * np.pi))


def on_circle(angles: Float[np.ndarray, "*n"] | float) -> Float[np.ndarray, "*n 2"]:
    """Return the points (x, y) of the unit circle at some angles, radians."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def turn_points(points: np.ndarray, *, angle: float) -> np.ndarray:
    """Turn (n, 2) points about (0, 0) by an angle in radians."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points @ turn.T)


def fill_polygon(points: np.ndarray, *, size: int) -> Bool[np.ndarray, "size size"]:
    """Fill the polygon of ``points`` (n, 2), in pixels (x, y), into a (size, size) mask."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1)
    return mask.astype(bool)


def ellipse(rng: np.random.Generator) -> np.ndarray:
    """Outline (n, 2) of a circle, which ``random_outline`` narrows."""
    return on_circle(np.linspace(0, 2 * np.pi, 48, endpoint=False))


def superellipse(rng: np.random.Generator) -> np.ndarray:
    """Outline (n, 2) between a rhombus and a rectangle with rounded corners."""
    power = 2 / rng.choice([1.2, 3.0, 6.0])
    unit = ellipse(rng)
    return np.sign(unit) * np.abs(unit) ** power


def polygon(rng: np.random.Generator) -> np.ndarray:
    """Outline (n, 2) of an irregular polygon of 3 to 8 corners."""
    corners = int(rng.integers(3, 9))
    t = np.sort(rng.uniform(0, 2 * np.pi, corners))
    return on_circle(t) * rng.uniform(0.6, 1.0, (corners, 1))


def cog(rng: np.random.Generator) -> np.ndarray:
    """Outline (n, 2) of a wheel with teeth, or a star."""
    teeth = int(rng.integers(5, 14))
    t = np.linspace(0, 2 * np.pi, teeth * 4, endpoint=False)
    radius = np.where(np.arange(teeth * 4) % 4 < 2, 1.0, rng.uniform(0.5, 0.9))
    return on_circle(t) * radius[:, None]


def blob(rng: np.random.Generator) -> np.ndarray:
    """Outline (n, 2) of a smooth, lobed blob: a circle whose radius is a short Fourier series."""
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waves = [rng.uniform(-0.5, 0.5) / k * np.cos(k * t + rng.uniform(0, 2 * np.pi)) for k in range(2, 6)]
    radius = 1 + np.sum(waves, axis=0)
    return on_circle(t) * (radius / radius.max())[:, None]


OUTLINES = (ellipse, superellipse, polygon, cog, blob)

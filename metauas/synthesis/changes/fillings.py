"""Fillings of a local change that are made of the picture itself: stained, worn, cracked, or from another place."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32

from metauas.synthesis.drawn.noise import fractal_noise
from metauas.synthesis.drawn.scenes import plain_colour

Filling = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def _tinted(rng: np.random.Generator, image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Of one colour: stains and burns keep the surface's pattern, paint and dirt do not."""
    size, colour = image.shape[0], plain_colour(rng)
    pattern = image.reshape(size, -1) - np.tile(image.mean(axis=(0, 1)), size)  # in rows, which is faster
    pattern *= np.float32(rng.choice([0.0, 0.7]))
    return (np.tile(colour, size) + pattern).reshape(image.shape)


def _elsewhere(rng: np.random.Generator, image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """The picture's own content from another place."""
    size = image.shape[0]
    return _rolled(rng, image, reach=(size // 8, size - size // 8))


def _shifted(rng: np.random.Generator, image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """The picture's own content a little out of place."""
    size = image.shape[0]
    return _rolled(rng, image, reach=(size // 48 + 1, size // 12 + 2))


def _rolled(rng: np.random.Generator, image: np.ndarray, *, reach: tuple[int, int]) -> np.ndarray:
    # rolling wraps, so that one direction is as good as both
    return np.roll(image, [int(rng.integers(*reach)) for _ in range(2)], axis=(0, 1))


def _smoothed(rng: np.random.Generator, image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Without its fine pattern, as where it is worn."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(1.5, 5.0))


def _shaded(rng: np.random.Generator, image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Darker, as in gaps, dents and burns, or every third time lighter, as in worn and bare places."""
    share = np.float32(rng.uniform(0.1, 0.75))
    return 1 - (1 - image) * share if rng.random() < 1 / 3 else image * share


def _gaping(rng: np.random.Generator, image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Dark, here more than there, as in cracks that are open in some places and closed in others."""
    size = image.shape[0]
    depth = 0.3 + 0.7 * fractal_noise(rng, shape=(size, size), coarsest=int(rng.integers(4, 17)), octaves=2)
    light = 1 - np.float32(rng.uniform(0.4, 1.0)) * depth
    return image * cv2.merge([light, light, light])


#: Fillings made of the picture itself; the other filling, ``texture``, is foreign.
OWN_FILLINGS: dict[str, Filling] = {
    "tint": _tinted,
    "elsewhere": _elsewhere,
    "shade": _shaded,
    "smooth": _smoothed,
    "shift": _shifted,
    "gap": _gaping,
}

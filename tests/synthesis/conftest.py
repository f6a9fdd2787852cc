"""Pictures whose changes are known exactly: flat squares on a flat ground."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from metauas.synthesis import Picture

GROUND = np.float32(128 / 255)  # survives inpainting's rounding to bytes
COLOURS = np.array([[0.9, 0.2, 0.2], [0.2, 0.9, 0.2], [0.2, 0.2, 0.9]], np.float32)


@dataclass(frozen=True)
class Squares:
    """Up to three small squares of different colours that never touch each other; a single one is in the middle."""

    count: int = 3
    stationary: bool = False

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        image = np.full((size, size, 3), GROUND)
        objects = []
        for number in range(self.count):
            side = int(rng.integers(9, 18))
            if self.count == 1:
                x, y = rng.integers(size // 4, 3 * size // 4 - side, 2)
            else:
                x, y = rng.integers(4, size // 2 - side - 4, 2) + np.array([number % 2, number // 2]) * (size // 2)
            mask = np.zeros((size, size), bool)
            mask[y : y + side, x : x + side] = True
            image[mask] = COLOURS[number]
            objects.append(mask)
        return Picture(image=image, objects=tuple(objects), name="squares", stationary=self.stationary)


@dataclass(frozen=True)
class OneColour:
    """A texture of one colour."""

    colour: tuple[float, float, float] = (1.0, 0.0, 0.0)

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        return Picture(image=np.full((size, size, 3), self.colour, np.float32), stationary=True)


@pytest.fixture
def squares():
    return Squares


@pytest.fixture
def one_colour():
    return OneColour


@pytest.fixture
def ground():
    return GROUND


@pytest.fixture
def grow():
    """Grow a mask by a square window, written apart from the package's own."""

    def grow_by(mask: np.ndarray, pixels: int) -> np.ndarray:
        return cv2.blur(mask.astype(np.float32), (2 * pixels + 1, 2 * pixels + 1)) > 1e-6

    return grow_by

"""DRAEM's augmentation of foreign textures: three of ten random changes of colour, sharpness and direction.

The list and its ranges are DRAEM's (Zavrtanik et al., ICCV 2021, section 3.1), which names operations of the imgaug
library. Here they work on float32 images in [0, 1] with the same random choices.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Augmenter = Callable[[np.random.Generator, np.ndarray], np.ndarray]

_STEPS = np.arange(256, dtype=np.float32)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # the kernel of Pillow's sharpness


def augment_texture(
    image: Float32[np.ndarray, "h w 3"], *, rng: np.random.Generator, count: int = 3
) -> Float32[np.ndarray, "h w 3"]:
    """Return an image (H, W, 3) in [0, 1] after ``count`` different ``AUGMENTERS`` in random order."""
    for number in rng.permutation(len(AUGMENTERS))[:count]:
        image = AUGMENTERS[list(AUGMENTERS)[number]](rng, image)
    return image


def gamma_contrast(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Each channel to a power of its own, 0.5 to 2; through a table of 256 steps, as a power a pixel is slow."""
    curves = (_STEPS[:, None] / 255) ** rng.uniform(0.5, 2.0, 3)
    return _by_table(image, curves.astype(np.float32))


def brightness(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Luma times 0.8 to 1.2 plus up to 30/255 to either side; the colour differences stay."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shift = luma * np.float32(rng.uniform(-0.2, 0.2)) + np.float32(rng.uniform(-30, 30) / 255)
    return _clipped(cv2.add(image, cv2.merge([shift, shift, shift])))


def sharpness(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """From smoothed (0) through unchanged (1) to sharpened (2), as Pillow's ``ImageEnhance.Sharpness``."""
    factor = rng.uniform(0, 2)
    return _clipped(cv2.addWeighted(image, factor, cv2.filter2D(image, -1, _SMOOTH), 1 - factor, 0))


def hue_saturation(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Hue turned by up to 50/255 of the circle and saturation by up to 50/255, each to either side."""
    turn, gain = rng.uniform(-50, 50, 2) / 255
    shift = np.array([360 * (turn % 1), gain, 0, 0])  # OpenCV wraps hues above 360
    hsv = np.asarray(cv2.add(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), shift))
    np.clip(hsv[..., 1], 0, 1, out=hsv[..., 1])
    return _clipped(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def solarize(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """In half of the cases, invert values from a threshold of 32/255 to 128/255 up, in each channel."""
    is_done, threshold = rng.random() < 0.5, np.float32(rng.uniform(32, 128) / 255)
    return np.where(image >= threshold, 1 - image, image) if is_done else image


def posterize(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Keep the 1 to 8 highest bits of the 8-bit values."""
    step = 2 ** (8 - int(rng.integers(1, 9)))
    return _by_table(image, np.repeat(_STEPS // step * step / 255, 3).reshape(256, 3))


def invert(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Turn bright into dark."""
    return 1 - image


def autocontrast(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Stretch each channel to [0, 1] after cutting 0 to 20 % of its darkest and of its brightest pixels."""
    cut = rng.uniform(0, 0.2)
    shares = _cumulative_shares(_bytes(image))
    low = np.array([np.searchsorted(channel, cut, side="right") for channel in shares])
    high = np.array([np.searchsorted(channel, 1 - cut) for channel in shares])
    scale = np.where(high > low, 255 / np.maximum(high - low, 1), 1)  # a single value is kept
    low = np.where(high > low, low, 0)
    return _by_table(image, (np.clip((_STEPS[:, None] - low) * scale, 0, 255) / 255).astype(np.float32))


def equalize(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Equalise the histogram of each channel."""
    return np.float32(1 / 255) * cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(_bytes(image))])


def rotate(rng: np.random.Generator, image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Turn by up to 45° to either side; the corners that come into view are black, as they are in DRAEM."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-45, 45), 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (width, height)))


AUGMENTERS: dict[str, Augmenter] = {
    a.__name__: a
    for a in (
        gamma_contrast, brightness, sharpness, hue_saturation, solarize,
        posterize, invert, autocontrast, equalize, rotate,
    )
}  # fmt: skip


def _bytes(image: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    return cv2.convertScaleAbs(image, alpha=255)


def _by_table(image: np.ndarray, table: Float32[np.ndarray, "256 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Send each channel through its column of a table."""
    return np.asarray(cv2.LUT(_bytes(image), table[None]))


def _cumulative_shares(pixels: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 256"]:
    """Share of the pixels up to each value, for each channel."""
    counts = [cv2.calcHist([pixels], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
    return np.cumsum(counts, axis=1, dtype=np.float32) / np.float32(pixels[..., 0].size)


def _clipped(image: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    return np.clip(image, 0, 1, dtype=np.float32)

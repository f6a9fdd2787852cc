"""Differences between query and prompt that are no change: pose, light, sensor.

The view is cut from a larger canvas, so that turned and shifted views show real surroundings, not black corners.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class Variation:
    """Ranges of pose and light, from which query and prompt draw their own.

    Attributes:
        rotation: degrees to either side.
        spun: share of the views that are turned by any angle.
        shift: share of the side, to either side.
        scale: share, around 1.
        brightness: added, in [0, 1] units, to either side.
        contrast: share, around 1.
        colour: gain per channel, share around 1 (colour cast of the light).
        shading: strength of a light gradient across the view.
        blur: largest Gaussian sigma, in pixels.
        noise: largest standard deviation of sensor noise, in [0, 1] units.
    """

    rotation: float = 10.0
    shift: float = 0.05
    scale: float = 0.05
    brightness: float = 0.06
    contrast: float = 0.15
    colour: float = 0.04
    shading: float = 0.1
    blur: float = 0.6
    noise: float = 0.02
    spun: float = 0.0

    @classmethod
    def off(cls) -> "Variation":
        """Return no variation: query and prompt stay aligned to the pixel."""
        return cls(**dict.fromkeys(cls.__dataclass_fields__, 0.0))


def view_matrix(
    rng: np.random.Generator, variation: Variation, *, canvas: int, size: int, free: bool = False
) -> Float32[np.ndarray, "2 3"]:
    """Affine matrix (2, 3) that cuts a view of ``size`` pixels from a ``canvas``.

    Args:
        rng: the generator.
        variation: the ranges of the pose.
        canvas: side of the canvas, pixels.
        size: side of the view, pixels.
        free: for stationary textures: take any place on the canvas and any quarter turn.
    """
    reach = (canvas - size) / (2 * size) if free else variation.shift
    angle = rng.uniform(-1, 1) * variation.rotation + (90 * rng.integers(4) if free else 0)
    if variation.spun and rng.random() < variation.spun:
        angle = rng.uniform(-180, 180)
    scale = 1 + rng.uniform(-1, 1) * variation.scale
    matrix = np.asarray(cv2.getRotationMatrix2D((canvas / 2, canvas / 2), angle, scale), dtype=np.float64)
    matrix[:, 2] += (size - canvas) / 2 + rng.uniform(-1, 1, 2) * reach * size
    return matrix.astype(np.float32)


def cut_view(image: np.ndarray, matrix: np.ndarray, *, size: int) -> np.ndarray:
    """Cut the view (size, size[, 3]) that ``matrix`` describes; beyond the canvas the picture is mirrored."""
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    )


def relight(
    image: Float32[np.ndarray, "h w 3"], rng: np.random.Generator, variation: Variation
) -> Float32[np.ndarray, "h w 3"]:
    """Change brightness, contrast, colour cast and shading of a view, blur it a little and add sensor noise."""
    size = image.shape[0]
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope = rng.uniform(-1, 1, 2).astype(np.float32) * np.float32(variation.shading)
    shading = 1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :]
    gain = (1 + rng.uniform(-1, 1) * variation.contrast) * (1 + rng.uniform(-1, 1, 3) * variation.colour)
    bias = image.mean() * (1 - gain) + rng.uniform(-1, 1) * variation.brightness  # contrast turns about the mean
    lit = image.reshape(size, -1) * np.tile(gain.astype(np.float32), size)  # in rows: broadcasting over three
    lit += np.tile(bias.astype(np.float32), size)  # channels would be several times slower
    lit *= np.repeat(shading, 3, axis=1)
    lit = lit.reshape(image.shape)
    sigma = rng.uniform(0, variation.blur)
    if sigma > 0.2:
        lit = cv2.GaussianBlur(lit, (0, 0), sigma)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(rng.uniform(0, variation.noise))
    noise += lit
    return np.clip(noise, 0, 1, out=noise)

"""Inpainting: fill a masked region to remove the objects in it."""

from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from metauas.errors import check_choice

METHODS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}


@runtime_checkable
class Inpainter(Protocol):
    """Anything that fills a masked region from its surroundings.

    Outside of the mask, grown by ``feather`` if the inpainter has one, pixels stay equal to the bit. All random
    choices come from ``rng``.
    """

    def __call__(
        self, image: Float32[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], *, rng: np.random.Generator
    ) -> Float32[np.ndarray, "h w 3"]:
        """Return ``image`` with the region where ``mask`` is True filled in."""
        ...


class OpenCVInpainter:
    """The classical inpainters of OpenCV, on any CPU in milliseconds.

    Args:
        method: ``telea`` (fast marching, Telea 2004) or ``navier-stokes`` (Bertalmio 2001).
        radius: pixels around a point that are used.
        grain: adds the fine grain of the surroundings to the smooth filling, so that smoothness is no cue.
    """

    def __init__(self, *, method: str = "telea", radius: float = 3.0, grain: bool = True) -> None:
        self.flag = METHODS[check_choice(name="method", value=method, choices=METHODS)]
        self.radius = radius
        self.grain = grain

    def __call__(
        self, image: Float32[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], *, rng: np.random.Generator
    ) -> Float32[np.ndarray, "h w 3"]:
        """Return ``image`` (H, W, 3) in [0, 1] with the masked region filled; the rest is the same to the bit."""
        pixels = np.rint(image * 255).astype(np.uint8)
        filled = cv2.inpaint(pixels, mask.astype(np.uint8), self.radius, self.flag).astype(np.float32) / 255
        if self.grain:
            filled = filled + _grain_of(image, mask=mask, rng=rng)
        return np.where(mask[..., None], np.clip(filled, 0, 1), image).astype(np.float32)


def _grain_of(image: np.ndarray, *, mask: np.ndarray, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
    """Return high frequencies of the image from a random other place."""
    fine = image - cv2.GaussianBlur(image, (0, 0), 1.5)
    fine[mask] = 0  # without the object's edges
    usual = 3 * float(np.median(np.abs(fine[::3, ::3])))  # larger values are edges of other objects
    fine = np.clip(fine, -usual, usual)
    shift = [int(rng.integers(side // 4, side - side // 4)) for side in image.shape[:2]]
    return np.roll(fine, shift, axis=(0, 1))


def keep_outside(
    image: Float32[np.ndarray, "h w 3"],
    filled: Float32[np.ndarray, "h w 3"],
    *,
    mask: Bool[np.ndarray, "h w"],
    feather: int,
) -> Float32[np.ndarray, "h w 3"]:
    """Return ``filled`` in the mask and ``image`` outside of it.

    The filling fades out linearly with the distance from the mask. From ``feather`` pixels on, the image is the same
    to the bit.
    """
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    weight = np.clip(1 - distance / max(feather, 1), 0, 1)[..., None]
    blended = (1 - weight) * image + weight * np.clip(filled, 0, 1)
    return np.where(weight > 0, blended, image).astype(np.float32)


def pad_to_multiple(image: np.ndarray, multiple: int) -> np.ndarray:
    """Mirror an array (H, W) or (H, W, C) at its lower and right border until ``multiple`` divides both sides."""
    below, beside = (-side % multiple for side in image.shape[:2])
    return np.pad(image, [(0, below), (0, beside)] + [(0, 0)] * (image.ndim - 2), mode="symmetric")

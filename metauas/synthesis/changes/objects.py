"""Object-level change: objects that appear, disappear or are exchanged (paper, section 3.2)."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from metauas.synthesis.changes.inpainting import Inpainter
from metauas.synthesis.drawn.shapes import draw_shape
from metauas.synthesis.pictures.picture import Picture

_ADAPTED = 0.5  # share of the exchanges in which the new object takes on colours of its surroundings
_ADAPTATION = (0.2, 0.5)  # share of the adaptation; above it, objects fade into the ground


def choose_objects(picture: Picture, *, rng: np.random.Generator, largest: int = 3) -> Bool[np.ndarray, "h w"]:
    """Return the union (H, W) of one to ``largest`` of the picture's objects, or of a drawn shape if it has none."""
    if not picture.objects:
        return shape_anywhere(rng, size=picture.image.shape[0])
    count = min(int(rng.integers(1, largest + 1)), len(picture.objects))
    chosen = rng.choice(len(picture.objects), size=count, replace=False)
    return np.logical_or.reduce([picture.objects[int(i)] for i in chosen])


def shape_anywhere(rng: np.random.Generator, *, size: int) -> Bool[np.ndarray, "size size"]:
    """Return the mask of one drawn shape, 3 to 14 % of the side in radius, its centre in the middle 70 %."""
    centre = rng.uniform(0.15, 0.85, 2) * size
    return draw_shape(rng, size=size, centre=(centre[0], centre[1]), radius=size * rng.uniform(0.03, 0.14))


def remove_objects(picture: Picture, *, rng: np.random.Generator, inpainter: Inpainter) -> Float32[np.ndarray, "h w 3"]:
    """Return the picture without one to three of its objects; their soft outlines are inpainted too."""
    region = dilate(choose_objects(picture, rng=rng), pixels=2)
    return inpainter(picture.image, region, rng=rng)


def exchange_object(
    picture: Picture, donor: Picture, *, rng: np.random.Generator, inpainter: Inpainter
) -> Float32[np.ndarray, "h w 3"]:
    """Return the picture with one object replaced by an object of ``donor``.

    The old object is inpainted. The new one is scaled to about its size, put in its place and blended over a soft
    border. Half of the time, its colours are moved towards those around it, so that colour is not the only cue.
    """
    old = choose_objects(picture, rng=rng, largest=1)
    ground = inpainter(picture.image, dilate(old, pixels=2), rng=rng)
    new = choose_objects(replace(donor, objects=_whole(donor.objects)), rng=rng, largest=1)
    if not (old.any() and new.any()):
        return ground
    matrix = _place(source=new, target=old, rng=rng)
    height, width = old.shape
    alpha = cv2.warpAffine(new.astype(np.float32), matrix, (width, height))
    moved = cv2.warpAffine(donor.image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    if rng.random() < _ADAPTED:
        moved = adapt_colours(moved, ground, region=alpha > 0.5, share=rng.uniform(*_ADAPTATION))
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.2))[..., None]
    return np.asarray((1 - alpha) * ground + alpha * moved, dtype=np.float32)


def adapt_colours(
    image: Float32[np.ndarray, "h w 3"],
    ground: Float32[np.ndarray, "h w 3"],
    *,
    region: Bool[np.ndarray, "h w"],
    share: float,
) -> Float32[np.ndarray, "h w 3"]:
    """Return ``image`` with each channel's mean and deviation in ``region`` moved by ``share`` to those of ``ground``.

    This is the colour transfer of Reinhard et al. (2001) in RGB. Contrast changes by a factor of 2 at most.
    """
    if not region.any():
        return image
    inside = region.astype(np.uint8)
    (mean, deviation), (wanted, spread) = (cv2.meanStdDev(picture, mask=inside) for picture in (image, ground))
    ratio = np.clip(spread / np.maximum(deviation, 1e-3), 0.5, 2)
    gain = (1 + share * (ratio - 1)).ravel()
    shift = ((1 - gain[:, None]) * mean + share * (wanted - mean)).ravel()
    return np.clip(image * gain + shift, 0, 1).astype(np.float32)


def _whole(objects: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return the masks that do not touch the border, or all if every mask does."""
    whole = [mask for mask in objects if not (mask[[0, -1]].any() or mask[:, [0, -1]].any())]
    return tuple(whole) or objects


def _place(*, source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the affine matrix (2, 3) from the ``source`` mask to the place and about the size of ``target``."""
    sy, sx = (axis.mean() for axis in np.nonzero(source))
    ty, tx = (axis.mean() for axis in np.nonzero(target))
    scale = float(np.clip(np.sqrt(target.sum() / source.sum()), 0.25, 4)) * rng.uniform(0.7, 1.3)
    matrix = cv2.getRotationMatrix2D((sx, sy), rng.uniform(-180, 180), scale)
    matrix[:, 2] += (tx - sx, ty - sy)
    return np.asarray(matrix)


def dilate(mask: Bool[np.ndarray, "h w"], *, pixels: int) -> Bool[np.ndarray, "h w"]:
    """Grow a mask by a disc of ``pixels`` radius."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0

"""Square crops of photographs that keep whole objects in view."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from metauas.errors import InputError
from metauas.synthesis.pictures.picture import Picture

_SMALLEST_WINDOW = 0.5  # share of the shorter side; closer crops of usual photographs are blurred
_VISIBLE = 0.5  # share of an object that must be in the inner crop
_MARGIN = 0.125  # share of the side that pairs may cut off each border for the sake of pose
_SHORT_SIDE = 16  # pixels that a photograph must have on its shorter side

Window = tuple[slice, slice]


@dataclass(frozen=True)
class AreaLimits:
    """Smallest and largest share of an image that an object may cover.

    Raises:
        InputError: unless 0 < smallest < largest < 1.
    """

    smallest: float = 0.004
    largest: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.smallest < self.largest < 1:
            raise InputError(f"smallest={self.smallest}, largest={self.largest}: give 0 < smallest < largest < 1")

    def usable(
        self, *, pixels: Float[np.ndarray, " n"], boxes: Float[np.ndarray, "n 4"], shape: tuple[int, ...]
    ) -> Bool[np.ndarray, " n"]:
        """Return which objects of an image of ``shape`` (height, width) a square crop can show as a whole.

        ``pixels`` are areas and ``boxes`` (left, top, width, height). A usable object is not longer than the shorter
        side. It covers at least the smallest share of the image and at most the largest share of its largest square.
        """
        short, area = min(shape), shape[0] * shape[1]
        fits = boxes[:, 2:].max(axis=1, initial=0) <= short
        return fits & (pixels >= self.smallest * area) & (pixels <= self.largest * short**2)

    def holds(self, mask: Bool[np.ndarray, "h w"]) -> bool:
        """Whether the mask's share is within the limits."""
        return bool(self.smallest <= mask.mean() <= self.largest)


def picture_of_objects(
    photograph: UInt8[np.ndarray, "h w 3"],
    masks: Sequence[Bool[np.ndarray, "h w"]],
    *,
    limits: AreaLimits,
    rng: np.random.Generator,
    size: int,
    name: str,
) -> Picture:
    """Cut a random square that shows one random object as a whole, resize it to ``size``, and mirror half of them.

    The margin is an eighth of the side. The chosen object is kept off it where the photograph allows. The picture's
    objects are the chosen one and those with at least half of their area within the margin, if they are within the
    limits. Without a usable object, the square is anywhere.

    Raises:
        InputError: the photograph is too small or narrow to be cropped.
    """
    check_croppable(photograph, name=name)
    window, chosen = _window(masks, shape=photograph.shape[:2], limits=limits, rng=rng)
    shown = [
        mask[window]
        for number, mask in enumerate(masks)
        if (number == chosen or _is_seen(mask, window)) and limits.holds(mask[window])
    ]
    flip = rng.random() < 0.5
    image = resize_view(photograph[window].astype(np.float32) / np.float32(255), size=size, flip=flip)
    covered = [resize_view(mask.astype(np.float32), size=size, flip=flip) for mask in shown]
    # thin objects cover no pixel by half
    return Picture(image=image, objects=tuple(share >= share.max() / 2 for share in covered), name=name)


def check_croppable(photograph: np.ndarray, *, name: str | Path, scale: float = 1.0) -> None:
    """Check that the shorter side of a photograph (H, W, …), resized by ``scale``, has the 16 pixels that crops need.

    Raises:
        InputError: naming it and its size.
    """
    height, width = photograph.shape[:2]
    if scale * min(height, width) < _SHORT_SIDE:
        raise InputError(
            f"{name} ({width} × {height} pixels) is too small or narrow to be cropped: of its shorter side, "
            f"{round(scale * min(height, width))} of at least {_SHORT_SIDE} pixels would remain; take it out"
        )


def resize_view(view: np.ndarray, *, size: int, flip: bool) -> np.ndarray:
    """Resize a square float array to ``size`` × ``size``, averaging if it shrinks, and mirror it if ``flip``."""
    flag = cv2.INTER_AREA if view.shape[0] > size else cv2.INTER_LINEAR
    resized = cv2.resize(view, (size, size), interpolation=flag)
    return np.ascontiguousarray(resized[:, ::-1] if flip else resized)


def random_window(rng: np.random.Generator, *, shape: tuple[int, ...], smallest: float) -> Window:
    """Return a square anywhere in an image, its side from ``smallest`` to 1 of the shorter side."""
    side = max(1, int(min(shape) * rng.uniform(smallest, 1.0)))
    top, left = (int(rng.integers(0, length - side + 1)) for length in shape)
    return slice(top, top + side), slice(left, left + side)


def _window(
    masks: Sequence[np.ndarray], *, shape: tuple[int, ...], limits: AreaLimits, rng: np.random.Generator
) -> tuple[Window, int | None]:
    """The square, and the number of the object it was cut around."""
    boxes = np.array([cv2.boundingRect(mask.astype(np.uint8)) for mask in masks], float).reshape(-1, 4)
    pixels = np.array([mask.sum() for mask in masks], float)
    usable = np.flatnonzero(limits.usable(pixels=pixels, boxes=boxes, shape=shape))
    if len(usable) == 0:
        return random_window(rng, shape=shape, smallest=_SMALLEST_WINDOW), None
    chosen = int(rng.choice(usable))
    left, top, width, height = (int(value) for value in boxes[chosen])
    short = min(shape)
    tightest = max(width, height, np.sqrt(pixels[chosen] / limits.largest), _SMALLEST_WINDOW * short)
    side = min(short, int(np.ceil(rng.uniform(tightest, short))))
    rows = _around(rng, start=top, length=height, side=side, total=shape[0])
    columns = _around(rng, start=left, length=width, side=side, total=shape[1])
    return (rows, columns), chosen


def _is_seen(mask: Bool[np.ndarray, "h w"], window: Window) -> bool:
    """Whether enough of the object is in the window without its margin."""
    margin = round(_MARGIN * (window[0].stop - window[0].start))
    rows, columns = (slice(side.start + margin, side.stop - margin) for side in window)
    return bool(mask[rows, columns].sum() >= max(1, _VISIBLE * mask.sum()))


def _around(rng: np.random.Generator, *, start: int, length: int, side: int, total: int) -> slice:
    """Return a random range of ``side`` pixels within ``total`` that contains ``length`` pixels from ``start``.

    Its margin is kept free of them if there is room for it.
    """
    margin = min(round(_MARGIN * side), (side - length) // 2)
    lowest, highest = start + length + margin - side, start - margin
    # at the border of the photograph there is no room
    lowest, highest = (min(max(bound, 0), total - side) for bound in (lowest, highest))
    first = int(rng.integers(lowest, highest + 1))
    return slice(first, first + side)

"""Readers of mask files from any tool: one for masks of benchmarks, one for masks of objects.

| values in the file | kind | marked |
|---|---|---|
| 0 and one other | ``binary`` | all above 0 (MVTec AD and LOCO AD write 255 or another value, others 1) |
| 0 and several, in flat regions, or none above 63 | ``labels`` | all above 0 (VisA numbers its kinds of defect) |
| between 0 and the brightest only along edges, or a lossy format | ``soft`` | from half of the brightest value on |
| 0 alone | ``empty`` | nothing |
| one value above 0 everywhere | ``full`` | everything, with a doubt |

The values are grey values, or the largest channel of colours, or the alpha channel if the colours are the same
everywhere. A mask has a doubt if a second reading is possible: it marks everything, or it is inside out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Int32, Shaped
from PIL import Image
from scipy import ndimage

from metauas.errors import InputError
from metauas.files.decoding import open_image, rgb_bytes, upright

Kind = Literal["binary", "labels", "soft", "empty", "full"]
Values = Shaped[np.ndarray, "h w"]

_ALWAYS_LABELS = 64  # a soft mask is brighter somewhere
_FLAT_VALUES = 1 / 3  # share of the values between 0 and the brightest that must have a flat region
_SMALLEST_REGION = 4  # pixels of one value; a smaller region is a speck
_MANY = 0.5  # share of marked pixels above which a mask may be inside out
_BORDER = 0.75  # share of marked border pixels above which it is inside out
_NOISE = 24  # of 256: difference between the channels of a grey after lossy compression
_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class MaskReading:
    """A mask, and how it was read.

    Attributes:
        marked: (H, W), True where something is marked.
        kind: of the file, see the table above.
        lossy: whether its format changes values on saving, as JPEG does.
        alpha: whether the values are those of its alpha channel.
        doubt: why another reading is possible, to be put after the file's name; else empty.
    """

    marked: Bool[np.ndarray, "h w"]
    kind: Kind
    lossy: bool = False
    alpha: bool = False
    doubt: str = ""


def judge_mask(path: str | Path) -> MaskReading:
    """Read a benchmark's mask, and return how it was read.

    Raises:
        InputError: naming the file if it is missing, truncated, too large or no image.
    """
    with open_image(path) as image:
        lossy, turned = _is_lossy(path, image), upright(image)
        colours, alpha = _planes(turned)
        hides = alpha is not None and _hides(colours, alpha, lossy=lossy)
        uses_alpha = alpha is not None and _is_constant(colours) and not _is_constant(alpha)
        values = alpha if uses_alpha and alpha is not None else colours
    kind = kind_of(values, lossy=lossy)
    marked = mark(values, kind)
    doubt = _doubt(values, marked, kind, lossy=lossy)
    if hides and not uses_alpha:
        doubt = doubt or "has an alpha channel that hides part of what its colours mark; save it without"
    return MaskReading(marked=marked, kind=kind, lossy=lossy, alpha=uses_alpha, doubt=doubt)


def read_labels(path: str | Path, *, void: int | None = None) -> Int32[np.ndarray, "h w"]:
    """Read a mask of objects as a value for each: those of the file, or 1 where a binary or soft mask marks something.

    Args:
        path: a picture in grey, or with a palette, whose numbers count and not its colours.
        void: a value that belongs to no object; it is left as it is.

    Raises:
        InputError: naming the file if it is no image, one of colours, or marks so much that it must be inside out.
    """
    with open_image(path, what="a mask") as image:
        lossy = _is_lossy(path, image)
        values = _object_values(upright(image), noise=_NOISE if lossy else 0)
    if values.ndim != 2:
        raise InputError(f"{path} is a picture in colours; save masks as grey or palette PNG, a value for each object")
    is_void = np.zeros(values.shape, bool) if void is None else values == void
    known = np.where(is_void, 0, values)
    kind = kind_of(known, lossy=lossy)
    marked = mark(known, kind)
    if doubt := "" if kind == "labels" else _doubt(known, marked, kind, lossy=lossy):
        raise InputError(f"{path} {doubt}")
    labels = np.where(is_void, values, marked) if kind == "soft" else values
    return labels.astype(np.int32)


def kind_of(values: Values, *, lossy: bool) -> Kind:
    """Return what the values (H, W) of a mask are, by the table above."""
    top = values.max()
    if not top > 0:
        return "empty"
    if values.min() == top:
        return "full"
    between = (values > 0) & (values < top)
    if not between.any():
        return "binary"
    if lossy:
        return "soft"
    whole = np.issubdtype(values.dtype, np.integer)
    return "labels" if (whole and top < _ALWAYS_LABELS) or _is_flat(values, between) else "soft"


def mark(values: Values, kind: Kind) -> Bool[np.ndarray, "h w"]:
    """Return what a mask of this kind marks (H, W)."""
    return np.asarray(values >= values.max() / 2 if kind == "soft" else values > 0)


def _is_flat(values: Values, between: Bool[np.ndarray, "h w"]) -> bool:
    """Return whether values between 0 and the brightest have regions of their own: labels do, soft edges do not."""
    _, numbers = np.unique(values, return_inverse=True)
    plane = numbers.reshape(values.shape).astype(np.float32)
    window = np.ones((3, 3), np.uint8)
    core = cv2.erode(plane, window) == cv2.dilate(plane, window)
    _, regions = cv2.connectedComponents((values > 0).astype(np.uint8), connectivity=8)
    index = np.arange(regions.max() + 1)
    uniform = ndimage.minimum(plane, regions, index) == ndimage.maximum(plane, regions, index)
    alone = (uniform & (np.bincount(regions.ravel()) >= _SMALLEST_REGION))[regions]
    flat = np.unique(plane[between & (core | alone)])
    return len(flat) >= _FLAT_VALUES * len(np.unique(plane[between]))


def _doubt(values: Values, marked: Bool[np.ndarray, "h w"], kind: Kind, *, lossy: bool) -> str:
    share = marked.mean()
    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]]).mean()
    if kind == "full" or share == 1:
        return "marks 100 % of its image, everything; mark the defect or object alone"
    if share > _MANY and border > _BORDER:
        return f"marks {share:.0%} of its image and its border, as if inside out; mark defects or objects above 0"
    if lossy and kind == "soft" and values.max() < _ALWAYS_LABELS:
        return f"is of a lossy format and nowhere brighter than {values.max()}, so that noise counts; save it as PNG"
    return ""


def _planes(image: Image.Image) -> tuple[Values, Values | None]:
    """Return the values of a decoded mask (H, W), the largest channel of colours, and its alpha channel, if any."""
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return _as_bytes(np.asarray(image)), None
    if image.mode in _ALPHA or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))
        return pixels[..., :3].max(axis=2), pixels[..., 3]
    return rgb_bytes(image).max(axis=2), None


def _as_bytes(values: np.ndarray) -> Values:
    """Scale booleans and fractions up to 1 to 255, keep other values, and replace NaN by 0."""
    values = np.nan_to_num(values)
    is_unit = values.dtype == np.bool_ or (np.issubdtype(values.dtype, np.floating) and values.max() <= 1)
    return values * np.float32(255) if is_unit else values


def _object_values(image: Image.Image, *, noise: int) -> np.ndarray:
    """Return the values of a decoded mask (H, W); its colours (H, W, 3) if their channels differ by over ``noise``."""
    values = np.asarray(image)
    if image.mode == "P":
        return _palette_values(values, image)
    if values.ndim == 3 and values.shape[2] in (2, 4):  # transparency counts where colours say nothing
        colours, alpha = values[..., :-1], values[..., -1]
        says_nothing = (colours == colours[:1, :1]).all() and not _is_constant(alpha)
        values = alpha if says_nothing else colours
    if values.ndim == 3 and np.ptp(values[..., :3], axis=2).max() <= noise:  # grey, saved as colours
        values = values[..., 0]
    return values * np.uint8(1) if values.dtype == np.bool_ else values


def _palette_values(numbers: Values, image: Image.Image) -> Values:
    """Return the numbers of a palette; its greys if it holds greys in an order of its own."""
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = np.unique(numbers)
    if used.max() >= len(palette):
        return numbers
    colours = palette[used]
    greys = (colours == colours[:, :1]).all() and len(np.unique(colours[:, 0])) == len(used)
    return palette[numbers][..., 0] if greys and (palette[0] > 0).any() else numbers


def _is_constant(values: Values) -> bool:
    return bool(values.min() == values.max())


def _hides(colours: Values, alpha: Values, *, lossy: bool) -> bool:
    """Return whether transparency hides a tenth or more of the pixels that the colours mark."""
    seen = np.rint(colours * (alpha / np.float32(255))).astype(np.uint8)
    marked, left = (mark(plane, kind_of(plane, lossy=lossy)).sum() for plane in (colours, seen))
    return bool(left < 0.9 * marked)


def _is_lossy(path: str | Path, image: Image.Image) -> bool:
    if image.format == "WEBP":
        with Path(path).open("rb") as file:
            return b"VP8 " in file.read(4096)  # VP8L is lossless
    return image.format in ("JPEG", "MPO")

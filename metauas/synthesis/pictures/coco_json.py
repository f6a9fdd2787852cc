"""COCO's instance annotations: the JSON checked, and every outline as run lengths."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from metauas.errors import InputError
from metauas.files import read_json
from metauas.files.listing import portable

_KEYS = {"images": ("id", "file_name", "height", "width"), "annotations": ("image_id", "segmentation")}

#: Run lengths as pycocotools holds them: {"size": [height, width], "counts": bytes}.
RunLengths = dict[str, Any]


def mask_tools() -> Any:
    """Return ``pycocotools.mask``, imported when first needed.

    Raises:
        InputError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise InputError(f"pycocotools is needed ({error}); install it: pip install 'metauas[data]'") from error
    return mask


@dataclass(frozen=True)
class Instances:
    """COCO's instance annotations."""

    images: list[dict[str, Any]]  # sorted by `id`; with `id` as text, `height`, `width` (pixels) and `file_name`
    annotations: dict[str, list[dict[str, Any]]]  # of each image by its id, without crowds
    left_out: list[str]  # why entries cannot be used


def read_instances(path: str | Path) -> Instances:
    """Read instance annotations; an entry that is not valid is left out and listed in ``left_out``.

    Raises:
        InputError: naming the file, if it has no lists of images and annotations.
    """
    content = read_json(path)
    for part in _KEYS:
        if not isinstance(content, Mapping) or not isinstance(content.get(part), list):
            hint = "give COCO's instance annotations, as instances_train2017.json"
            raise InputError(f"{path} has no list {part!r}; {hint}")
    left_out: list[str] = []
    images = _images(_complete(content, "images", left_out), left_out)
    annotations: dict[str, list[dict[str, Any]]] = {key: [] for key in sorted(images)}
    for entry in _complete(content, "annotations", left_out):
        if (key := _key(entry["image_id"])) not in images:
            left_out.append(f"{_name(entry)} is of an image that is not listed in 'images'")
        elif not _is_crowd(entry):
            annotations[key].append(dict(entry))
    return Instances([images[key] for key in annotations], annotations, left_out)


def _complete(content: Mapping[str, Any], part: str, left_out: list[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of a list that have all keys."""
    for number, entry in enumerate(content[part]):
        missing = [key for key in _KEYS[part] if not isinstance(entry, Mapping) or key not in entry]
        if missing:
            left_out.append(f"{part}[{number}] has no {', '.join(missing)}; COCO's instances need all of them")
        else:
            yield entry


def _images(entries: Iterator[Mapping[str, Any]], left_out: list[str]) -> dict[str, dict[str, Any]]:
    images: dict[str, dict[str, Any]] = {}
    for entry in entries:
        key, name = _key(entry["id"]), entry["file_name"]
        height, width = (_whole(entry[side]) or 0 for side in ("height", "width"))
        if min(height, width) <= 0 or not isinstance(name, str):
            left_out.append(f"image {entry['id']}: height, width and file_name must be pixels, pixels and a name")
        elif key in images:
            left_out.append(f"image {entry['id']} is listed again, as {name!r}; keep one")
        else:
            images[key] = {**entry, "id": key, "height": height, "width": width, "file_name": portable(name)}
    return images


def _whole(value: Any) -> int | None:
    """Return a whole number, which may be written as text or with a fraction of 0; None if it is another value."""
    try:
        number = float(value)
        return int(number) if number.is_integer() and not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _key(value: Any) -> str:
    """Return an id as text: 7, 7.0 and "7" are the same."""
    number = value if isinstance(value, int) else _whole(value) if isinstance(value, float) else None
    return str(value if number is None else number)


def _is_crowd(annotation: Mapping[str, Any]) -> bool:
    crowd = annotation.get("iscrowd")
    return bool(crowd if _whole(crowd) is None else _whole(crowd))


def run_lengths(annotation: Mapping[str, Any], *, shape: tuple[int, int], left_out: list[str]) -> RunLengths:
    """Return the object's mask from polygons or from plain or compressed run lengths.

    All values are checked here because the C code of pycocotools does not. Stray polygons, such as clicks of two
    points, are left out if the outline has others.

    Args:
        annotation: as in the file.
        shape: (height, width) of its image, pixels.
        left_out: gets a sentence about stray polygons.

    Raises:
        InputError: naming the annotation if its outline is neither.
    """
    coco = mask_tools()
    try:
        outline = annotation["segmentation"]
        if isinstance(outline, Mapping):
            return dict(coco.frPyObjects({"size": list(shape), "counts": _counts(outline, shape=shape)}, *shape))
        polygons, strays = read_polygons(outline, shape=shape)
        if strays:
            others = f"its outline of {len(polygons)} others"
            left_out.append(f"{_name(annotation)} has {strays[0]}, which is left out of {others}")
        return dict(coco.merge(coco.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *shape)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{_name(annotation)} has no usable segmentation ({error}); it must be polygons [[x, y, …], …] of "
            f"3 points or more, or run lengths of {shape[1]} × {shape[0]} pixels"
        ) from error


def decode(outline: RunLengths) -> Bool[np.ndarray, "h w"]:
    """Return the mask (H, W)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools was built for NumPy 1's __array__
        return np.asarray(mask_tools().decode(outline), dtype=bool)


def read_polygons(outline: Any, *, shape: tuple[int, int]) -> tuple[list[Float[np.ndarray, "_ 2"]], list[ValueError]]:
    """Return the usable polygons of an outline, clipped to the image, and the errors of the others.

    Raises:
        TypeError: the outline is no list.
        ValueError: no polygon is usable.
    """
    polygons, strays = [], []
    for points in outline:
        try:
            polygons.append(_polygon(points, shape=shape))
        except ValueError as error:
            strays.append(error)
    if not polygons:
        raise strays[0] if strays else ValueError("no polygon")
    return polygons, strays


def _polygon(points: Any, *, shape: tuple[int, int]) -> Float[np.ndarray, "n 2"]:
    pairs = np.asarray(points, float).reshape(-1, 2)
    if len(pairs) < 3 or not np.isfinite(pairs).all():
        raise ValueError(f"a polygon of {len(pairs)} points, or with values that are no numbers")
    return np.clip(pairs, 0, shape[::-1])


def _counts(outline: Mapping[str, Any], *, shape: tuple[int, int]) -> list[int]:
    """Return the run lengths as numbers, whose sum is the number of pixels."""
    counts, sides = outline["counts"], [_whole(side) for side in outline["size"]]
    numbers = list(_decompressed(counts)) if isinstance(counts, str) else list(map(_run, counts))
    if sides != list(shape) or min(numbers) < 0 or sum(numbers) != shape[0] * shape[1]:
        raise ValueError(f"run lengths of size {outline['size']} and {sum(numbers)} pixels")
    return numbers


def _run(count: Any) -> int:
    if (number := _whole(count)) is None:
        raise ValueError(f"a run length of {count!r}")
    return number


def _decompressed(code: str) -> Iterator[int]:
    """Yield the numbers of COCO's compressed run lengths.

    A character has six bits: five bits of the number, lowest first, and one that says whether more follow. The last
    character's fifth bit is the sign. From the fourth number on, differences to the second last number are stored.
    """
    numbers: list[int] = []
    value = shift = 0
    for character in code.encode("ascii"):
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (1 << shift) if bits & 16 else 0
        numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
        yield numbers[-1]
        value = shift = 0


def _name(annotation: Mapping[str, Any]) -> str:
    return f"annotation {annotation.get('id')} of image {annotation.get('image_id')}"

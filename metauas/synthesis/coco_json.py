"""COCO's instance annotations: the JSON checked, and every outline as run lengths."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from metauas.errors import InputError
from metauas.files import read_json

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


def read_instances(path: str | Path) -> tuple[list[dict[str, Any]], dict[Any, list[dict[str, Any]]]]:
    """Return the images, sorted by id, and each image's annotations without crowds.

    Raises:
        InputError: naming the file and the key that is missing, or the image that is.
    """
    content = read_json(path)
    for part, keys in _KEYS.items():
        _check_list(content, part, keys, path=path)
    images = sorted(content["images"], key=lambda image: str(image["id"]))
    for image in images:
        _check_image(image, path=path)
    annotations: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in content["annotations"]:
        if annotation["image_id"] not in annotations:
            raise InputError(f"{path}: {_name(annotation)} is of an image that is not listed in 'images'")
        if not annotation.get("iscrowd"):
            annotations[annotation["image_id"]].append(annotation)
    return images, annotations


def _check_list(content: Any, part: str, keys: Sequence[str], *, path: str | Path) -> None:
    if not isinstance(content, Mapping) or not isinstance(content.get(part), list):
        raise InputError(f"{path} has no list {part!r}; give COCO's instance annotations, as instances_train2017.json")
    for number, item in enumerate(content[part]):
        missing = [key for key in keys if not isinstance(item, Mapping) or key not in item]
        if missing:
            raise InputError(f"{path}: {part}[{number}] has no {', '.join(missing)}; COCO's instances need all of them")


def _check_image(image: Mapping[str, Any], *, path: str | Path) -> None:
    sides = (image["height"], image["width"])
    if not all(isinstance(side, int) and side > 0 for side in sides) or not isinstance(image["file_name"], str):
        raise InputError(f"{path}: image {image['id']}: height, width and file_name must be pixels, pixels and a name")


def run_lengths(annotation: Mapping[str, Any], *, shape: tuple[int, int], path: str | Path) -> RunLengths:
    """Return the object's mask, given as polygons or as run lengths, plain or compressed.

    Everything is checked before pycocotools sees it, whose C code trusts its input.

    Raises:
        InputError: naming the annotation whose outline is neither.
    """
    coco = mask_tools()
    try:
        outline = annotation["segmentation"]
        if isinstance(outline, Mapping):
            return dict(coco.frPyObjects({"size": list(shape), "counts": _counts(outline, shape=shape)}, *shape))
        polygons = [_polygon(points, shape=shape) for points in outline]
        if not polygons:
            raise ValueError("no polygon")
        return dict(coco.merge(coco.frPyObjects(polygons, *shape)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: {_name(annotation)} has no usable segmentation ({error}); it must be polygons "
            f"[[x, y, …], …] of 3 points or more, or run lengths of {shape[1]} × {shape[0]} pixels"
        ) from error


def decode(outline: RunLengths) -> Bool[np.ndarray, "h w"]:
    """Return the mask (H, W)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools was built for NumPy 1's __array__
        return np.asarray(mask_tools().decode(outline), dtype=bool)


def _polygon(points: Any, *, shape: tuple[int, int]) -> list[float]:
    """The polygon, kept within the image."""
    pairs = np.asarray(points, float).reshape(-1, 2)
    if len(pairs) < 3 or not np.isfinite(pairs).all():
        raise ValueError(f"a polygon of {len(pairs)} points, or with values that are no numbers")
    corners: list[float] = np.clip(pairs, 0, shape[::-1]).ravel().tolist()
    return corners


def _counts(outline: Mapping[str, Any], *, shape: tuple[int, int]) -> list[int]:
    """Run lengths as numbers, which together are the whole image."""
    counts = outline["counts"]
    numbers = list(_decompressed(counts)) if isinstance(counts, str) else [int(count) for count in counts]
    if list(outline["size"]) != list(shape) or min(numbers) < 0 or sum(numbers) != shape[0] * shape[1]:
        raise ValueError(f"run lengths of size {outline['size']} and {sum(numbers)} pixels")
    return numbers


def _decompressed(code: str) -> Iterator[int]:
    """Numbers of COCO's compressed run lengths.

    Six bits a character: five of the number, lowest first, and whether more follow; the last one's fifth bit is the
    sign. From the fourth number on it is the difference to the number before the last.
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

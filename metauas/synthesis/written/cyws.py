"""Pairs of the data set ``coco-inpainted`` of "The Change You Want to See" (Sachdeva & Zisserman, WACV 2023).

Its folder holds for each COCO image of number ``id``: ``images_and_masks/<id>.png``, the image; ``metadata/<id>.npy``,
its n annotations, pickled; and views ``inpainted/<id>_mask<bits>.png`` from which objects are removed. The n binary
digits of the decimal number ``bits`` mark the removed objects, first annotation first; no number marks all. Any two
views of an image make a pair, and the objects of only one of them have changed.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from torch import from_numpy
from torch.utils.data import Dataset

from metauas.errors import InputError, check_choice
from metauas.files import require_folder
from metauas.files.images import read_image, to_tensor
from metauas.files.listing import entries
from metauas.files.pickles import read_npy, read_pickle
from metauas.seeding import rng_for
from metauas.synthesis.pairs import ChangePair
from metauas.synthesis.pictures.coco_json import read_polygons
from metauas.synthesis.variation import Variation, cut_view, relight, view_matrix

#: Our names of the splits, and those in the data set's files.
CYWS_SPLITS = {"train": "train", "validation": "val", "test": "test"}

_FOLDERS = ("images_and_masks", "inpainted", "metadata")
_HELD_OUT = 20  # without a split file, every 20th image is held out: the authors' share of 5 percent
_MARGIN = 0.125  # room for pose on each side of the view, as a share of its side
_COVERED = 0.4  # share of a pixel that a changed object must cover


def is_cyws(folder: str | Path) -> bool:
    """Return whether a folder has the subfolders of ``coco-inpainted``."""
    return all((Path(folder) / name).is_dir() for name in _FOLDERS)


class CywsPairs(Dataset[ChangePair]):
    """One pair for each image of ``coco-inpainted``; pair ``index`` depends on (seed, split, index) alone.

    Kinds: ``appearance`` if objects are in the query only, ``disappearance`` if in the prompt only, ``exchange`` if
    both have objects that the other lacks. The mask is the polygons of these objects. A pair whose mask is empty,
    because the objects are out of view, is ``unchanged``.

    Args:
        root: the data set's folder.
        split: ``train``, ``validation`` or ``test``.
        size: side of query, prompt and mask, pixels; the whole image is resized to this square.
        seed: chooses the two views, their order and their variation.
        variation: pose and light in which query and prompt may differ; None leaves them aligned to the pixel.

    Raises:
        InputError: a folder or file is missing or damaged, or asks for code to be executed. No code is executed.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "train",
        size: int = 256,
        seed: int = 0,
        variation: Variation | None = None,
    ) -> None:
        self.root = require_folder(root, hint="give a folder of CYWS' coco-inpainted")
        for name in _FOLDERS:
            require_folder(self.root / name, hint="coco-inpainted has " + ", ".join(f"{f}/" for f in _FOLDERS))
        self.split = check_choice(name="split", value=split, choices=CYWS_SPLITS)
        self.size, self.seed, self.variation = size, seed, variation
        self.ids = read_ids(self.root, split=split)
        self.views = _list_views(self.root / "inpainted")
        self._check_complete()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> ChangePair:
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        number, rng = self.ids[index], rng_for(self.seed, "cyws", self.split, index)
        file = self.root / "metadata" / f"{number}.npy"
        annotations = read_annotations(file)
        views = self._views(number, count=len(annotations))
        query, prompt = (list(views)[k] for k in rng.choice(len(views), 2, replace=False))
        original = read_image(self.root / "images_and_masks" / f"{number}.png")
        changed = [annotations[k] for k in removed_objects(query ^ prompt, count=len(annotations))]
        mask = draw_polygons(changed, shape=original.shape[:2], origin=file)
        images = [read_image(views[removed]) for removed in (query, prompt)]
        return self._pair(images, mask, kind=_kind(query=query, prompt=prompt), source=number, rng=rng)

    def _views(self, number: str, *, count: int) -> dict[int, Path]:
        """Return the views of an image by the bits of their removed objects."""
        views = {0: self.root / "images_and_masks" / f"{number}.png"}
        for digits in self.views[number]:
            path = self.root / "inpainted" / f"{number}_mask{digits}.png"
            removed = int(digits) if digits else 2**count - 1
            if removed >= 2**count:
                raise InputError(f"{path} removes more objects than the {count} in metadata/{number}.npy")
            views[removed] = path
        if len(views) < 2:
            raise InputError(f"{path}: no view of this image has an object removed; delete the image")
        return views

    def _pair(
        self, images: Sequence[np.ndarray], mask: np.ndarray, *, kind: str, source: str, rng: np.random.Generator
    ) -> ChangePair:
        """Give each side its own pose and light, and the mask the pose of the query."""
        margin = 0 if self.variation is None else math.ceil(self.size * _MARGIN)
        canvas = self.size + 2 * margin
        # resized as the images are, to cover every pixel that the change reaches
        cover = (_resized(mask * np.uint8(255), canvas) > 0).astype(np.float32)
        sides = [_resized(image, canvas) for image in images]
        if self.variation is not None:
            poses = [view_matrix(rng, self.variation, canvas=canvas, size=self.size) for _ in sides]
            cover = cut_view(cover, poses[0], size=self.size)
            views = [cut_view(side, pose, size=self.size) for side, pose in zip(sides, poses, strict=True)]
            sides = [relight(view, rng, self.variation) for view in views]
        covered = (cover > _COVERED)[None]
        return ChangePair(
            query=to_tensor(sides[0]),
            prompt=to_tensor(sides[1]),
            mask=from_numpy(covered.astype(np.float32)),
            kind=kind if covered.any() else "unchanged",
            source=source,
        )

    def _check_complete(self) -> None:
        """Look for the files of all images, listing each folder once."""
        missing = []
        for folder, suffix in (("images_and_masks", ".png"), ("metadata", ".npy")):
            names = {path.name for path in entries(self.root / folder)}
            missing += [self.root / folder / f"{n}{suffix}" for n in self.ids if f"{n}{suffix}" not in names]
        missing += [self.root / "inpainted" / f"{n}_mask….png" for n in self.ids if n not in self.views]
        if missing:
            raise InputError(
                f"{missing[0]} does not exist; {len(missing)} of the files that split {self.split!r} needs are "
                "missing: unpack the data set again"
            )


def read_ids(root: Path, *, split: str) -> tuple[str, ...]:
    """Return the numbers of a split's images from ``data_split.pkl``, or else from ``list_of_indices.npy``.

    The latter has no splits: all of it is ``test``, and every 20th image is in ``validation`` rather than ``train``.

    Raises:
        InputError: both files are missing or one is damaged, or the data has no such split.
    """
    file, listed = root / "data_split.pkl", root / "list_of_indices.npy"
    if file.is_file():
        return _checked_ids(_of_split(file, split), origin=file)
    ids = _checked_ids(read_npy(listed, hint=f"coco-inpainted has it, or {file.name}"), origin=listed)
    held_out = set(ids[::_HELD_OUT])
    return {"test": ids, "validation": ids[::_HELD_OUT], "train": tuple(i for i in ids if i not in held_out)}[split]


def _of_split(file: Path, split: str) -> Any:
    splits = read_pickle(file, hint="coco-inpainted has a dictionary of splits there")
    if not isinstance(splits, dict) or CYWS_SPLITS[split] not in splits:
        found = ", ".join(map(str, splits)) if isinstance(splits, dict) else type(splits).__name__
        raise InputError(f"{file} holds no split {CYWS_SPLITS[split]!r}, it has: {found}")
    return splits[CYWS_SPLITS[split]]


def _checked_ids(ids: Any, *, origin: Path) -> tuple[str, ...]:
    values = ids.tolist() if isinstance(ids, np.ndarray) else ids
    names = tuple(map(str, values)) if isinstance(values, list | tuple) else ()
    if not names or not all(name.isdecimal() for name in names):
        raise InputError(f"{origin} holds no list of image numbers")
    return names


def _list_views(folder: Path) -> dict[str, list[str]]:
    """Return, for each image number, the digits in the names of its inpainted views, in a fixed order."""
    views: dict[str, list[str]] = {}
    for name in (path.name for path in entries(folder)):
        if found := re.fullmatch(r"(\d+)_mask(\d*)\.png", name):
            views.setdefault(found[1], []).append(found[2])
    return views


def read_annotations(file: str | Path) -> list[dict[str, Any]]:
    """Read the COCO annotations in a metadata file, executing nothing.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    hint = "coco-inpainted has an array of COCO annotations there"
    array = read_npy(file, hint=hint)
    if array.ndim != 1 or not array.size or not all(isinstance(item, dict) for item in array):
        raise InputError(f"{file} holds no list of annotations; {hint}")
    return list(array)


def removed_objects(bits: int, *, count: int) -> list[int]:
    """Return the numbers of the annotations that ``bits`` marks; its first of ``count`` binary digits is number 0.

    >>> removed_objects(0b0110, count=4)
    [1, 2]
    """
    return [place for place, digit in enumerate(f"{bits:0{count}b}") if digit == "1"]


def draw_polygons(
    annotations: Sequence[dict[str, Any]], *, shape: tuple[int, ...], origin: str | Path
) -> Bool[np.ndarray, "h w"]:
    """Fill the polygons of COCO annotations, in pixels of an image of ``shape`` (H, W), into one mask (H, W).

    A polygon of fewer than three points, such as a stray click, is left out if its object has others.

    Raises:
        InputError: naming ``origin``, if an object has no polygon [x, y, x, y, x, y, …].
    """
    mask = np.zeros(shape, np.uint8)
    for annotation in annotations:
        try:
            outlines, _ = read_polygons(annotation.get("segmentation"), shape=(shape[0], shape[1]))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{origin}: an object has no usable segmentation ({error}); it must be polygons [[x, y, …], …] of "
                "3 points or more"
            ) from error
        for outline in outlines:  # one at a time: drawn together, where they overlap would be a hole
            cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask.astype(bool)


def _kind(*, query: int, prompt: int) -> str:
    """Return the kind of change between two views, given the bits of their removed objects."""
    if query & ~prompt and prompt & ~query:
        return "exchange"
    return "disappearance" if query & ~prompt else "appearance"


def _resized(image: np.ndarray, side: int) -> Float32[np.ndarray, "s s *c"]:
    flag = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=flag), dtype=np.float32) / np.float32(255)

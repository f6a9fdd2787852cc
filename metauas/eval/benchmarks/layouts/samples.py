"""Benchmark, category and test image, independent of the layout on disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from metauas.errors import InputError
from metauas.files.images import list_images, read_mask, resize_mask, stack_images
from metauas.files.listing import LeftOut

ResizeMask = Callable[[np.ndarray, tuple[int, int]], np.ndarray]

#: Name of the kind of test images without a defect, in every layout.
GOOD = "good"
#: Name of the mean over categories in tables, so that no category may have it.
MEAN = "mean"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One test image.

    Attributes:
        path: the image.
        label: True if it is anomalous.
        defect: its kind, ``good`` if it is not anomalous.
        mask_path: file of its mask, or folder of several that are united; None if it has none.
    """

    path: Path
    label: bool
    defect: str
    mask_path: Path | None


@dataclass(frozen=True, kw_only=True)
class Category:
    """One kind of object.

    Attributes:
        name: of its folder, or in the lists.
        train_good: its normal images, from which prompts are taken.
        test: its test images.
        validation: normal images that are neither prompts nor under test, from which thresholds are calibrated.
        unlabelled: images under test without published labels, by the name of their folder.
        folder: where all its files are, if known.
        notes: what was read though it is unusual, one sentence each.
    """

    name: str
    train_good: list[Path]
    test: list[Sample]
    validation: list[Path] = field(default_factory=list)
    unlabelled: Mapping[str, list[Path]] = field(default_factory=dict)
    folder: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Categories under one root.

    Attributes:
        name: of the root.
        root: the folder.
        categories: in the order asked for, else sorted by name.
        layout: its name in ``LAYOUTS``.
        left_out: unused pictures under the root, each with the reason.
    """

    name: str
    root: Path
    categories: list[Category]
    layout: str = "mvtec"
    left_out: tuple[LeftOut, ...] = ()


def images_of(category: Category) -> list[Path]:
    """Return all images of a category: for prompts, under test, for validation, and those without labels."""
    unlabelled = (path for images in category.unlabelled.values() for path in images)
    return [*category.train_good, *(sample.path for sample in category.test), *category.validation, *unlabelled]


def as_test_images(category: Category, images: list[Path]) -> Category:
    """Return the category with other test images, which have no defect and no mask, such as its ``validation``."""
    return replace(category, test=[Sample(path=path, label=False, defect=GOOD, mask_path=None) for path in images])


def mask_files(sample: Sample) -> list[Path]:
    """Return the mask files of a sample, none if it has no mask."""
    if sample.mask_path is None:
        return []
    return list_images(sample.mask_path) if sample.mask_path.is_dir() else [sample.mask_path]


def load_sample(sample: Sample, size: int) -> tuple[Float[Tensor, "3 size size"], Bool[np.ndarray, "size size"]]:
    """Read the image, float32 in [0, 1], and the mask of a sample (``load_mask``), both resized to ``size`` × ``size``.

    Raises:
        InputError: a file cannot be read, or masks have vanished; names the file.
    """
    return stack_images([sample.path], size=size)[0], load_mask(sample, size)


def load_mask(sample: Sample, size: int, *, resize: ResizeMask = resize_mask) -> Bool[np.ndarray, "size size"]:
    """Read the mask of a sample, resized to ``size`` × ``size``: the union of its files, empty without any.

    Raises:
        InputError: a file cannot be read, or masks have vanished; names the file.
    """
    mask = np.zeros((size, size), dtype=bool)
    files = mask_files(sample)
    if sample.mask_path is not None and not files:
        raise InputError(f"{sample.mask_path} holds no mask any more; it belongs to {sample.path}")
    for path in files:
        mask |= resize(read_mask(path), (size, size))
    return mask

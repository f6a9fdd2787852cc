"""Benchmarks on disk: which folder holds the normal images, the test images and their masks.

MVTec AD's layout, which VisA, GoodsAD and BTAD are commonly converted to and your own data can follow:

    root/<category>/train/good/*.png
    root/<category>/test/good/*.png
    root/<category>/test/<defect>/<stem>.png
    root/<category>/ground_truth/<defect>/<stem>_mask.png   (or <stem>.png)

Source: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import ExifTags, Image
from torch import Tensor

from metauas.errors import InputError, did_you_mean
from metauas.files import require_folder
from metauas.images import list_images, read_mask, resize_mask, stack_images

GOOD = "good"
MASK_SUFFIXES = (".png", ".PNG")
PROBLEMS_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One test image: ``label`` is True if it is anomalous, ``mask_path`` is None if it is not."""

    path: Path
    label: bool
    defect: str
    mask_path: Path | None


@dataclass(frozen=True, kw_only=True)
class Category:
    """One kind of object: its normal images, from which prompts are taken, and its test images."""

    name: str
    train_good: list[Path]
    test: list[Sample]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Categories under one root, in the order asked for, else sorted by name."""

    name: str
    root: Path
    categories: list[Category]


def read_mvtec(root: str | Path, categories: Sequence[str] | None = None) -> Benchmark:
    """List a benchmark in MVTec AD's layout and check all of it, reading only the headers of the images.

    Args:
        root: the folder that holds the category folders.
        categories: the names wanted, by default all that are found.

    Raises:
        InputError: one error with everything that is wrong: no root, no or an unknown category, a category
            without normal or test images, an unreadable header, an anomalous image without a mask or with
            one of another size.
    """
    folder = require_folder(root, hint="give the folder that holds the category folders")
    found = _category_names(folder)
    problems: list[str] = []  # collected, so that one run shows all that has to be mended
    wanted = found if categories is None else _known_names(categories, found, problems)
    read = [_read_category(folder / name, problems) for name in wanted]
    if problems:
        raise InputError(f"{folder} is not a complete benchmark:\n" + _as_list(problems))
    return Benchmark(name=folder.resolve().name, root=folder, categories=read)


LAYOUTS: dict[str, Callable[[str | Path, Sequence[str] | None], Benchmark]] = {
    "mvtec": read_mvtec,
    "folder": read_mvtec,  # your own data, arranged as above
}


def load_sample(sample: Sample, size: int) -> tuple[Float[Tensor, "3 size size"], Bool[np.ndarray, "size size"]]:
    """Read the image, float32 in [0, 1], and the mask of a sample, both resized to ``size`` × ``size``.

    Raises:
        InputError: naming the file that cannot be read.
    """
    image = stack_images([sample.path], size=size)[0]
    if sample.mask_path is None:
        return image, np.zeros((size, size), dtype=bool)
    return image, resize_mask(read_mask(sample.mask_path), (size, size))


def _category_names(root: Path) -> list[str]:
    if (root / "train").is_dir() or (root / "test").is_dir():
        parent = root.absolute().parent
        raise InputError(f"{root} is one category, not a benchmark; give its parent folder {parent}")
    names = sorted(
        folder.name for folder in root.iterdir() if (folder / "train").is_dir() or (folder / "test").is_dir()
    )
    if not names:
        raise InputError(f"{root} holds no category; expected folders like {root}/bottle/train/good")
    return names


def _known_names(categories: Sequence[str], found: list[str], problems: list[str]) -> list[str]:
    wanted = [categories] if isinstance(categories, str) else list(dict.fromkeys(categories))
    choices = f"choose from {', '.join(found)}"
    if not wanted:
        problems.append(f"no category was asked for; {choices}")
    for name in wanted:
        if name not in found:
            problems.append(f"category {name!r} is not there{did_you_mean(name, found)}; {choices}")
    return [name for name in wanted if name in found]


def _read_category(folder: Path, problems: list[str]) -> Category:
    normal = folder / "train" / GOOD
    train_good = list_images(normal) if normal.is_dir() else []
    if not train_good:
        problems.append(f"{normal} holds no image; put the normal images there")
    for path in train_good:
        _upright_size(path, problems)
    return Category(name=folder.name, train_good=train_good, test=_read_test(folder, problems))


def _read_test(folder: Path, problems: list[str]) -> list[Sample]:
    test = folder / "test"
    if not test.is_dir():
        problems.append(f"{test} does not exist; put the test images into {test}/good and {test}/<defect>")
        return []
    for path in list_images(test):
        problems.append(f"{path} is in no defect folder; move it into {test}/good or {test}/<defect>")
    defects = sorted(entry for entry in test.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    samples = [_read_sample(folder, path, problems) for defect in defects for path in list_images(defect)]
    if not samples:
        problems.append(f"{test} holds no image; put the test images into {test}/good and {test}/<defect>")
    return samples


def _read_sample(category: Path, path: Path, problems: list[str]) -> Sample:
    defect = path.parent.name
    size = _upright_size(path, problems)
    if defect == GOOD:
        return Sample(path=path, label=False, defect=defect, mask_path=None)
    mask = _find_mask(category / "ground_truth" / defect, path.stem)
    if mask is None:
        expected = category / "ground_truth" / defect / f"{path.stem}_mask.png"
        problems.append(f"{path} has no mask; expected {expected}")
    elif (mask_size := _upright_size(mask, problems)) and size and mask_size != size:
        is_, should_be = (f"{width}×{height}" for width, height in (mask_size, size))
        problems.append(f"{mask} is {is_} pixels, its image {path} {should_be}; mend one of them")
    return Sample(path=path, label=True, defect=defect, mask_path=mask)


def _find_mask(folder: Path, stem: str) -> Path | None:
    candidates = [folder / f"{stem}{ending}{suffix}" for ending in ("_mask", "") for suffix in MASK_SUFFIXES]
    return next((path for path in candidates if path.is_file()), None)


def _upright_size(path: Path, problems: list[str]) -> tuple[int, int] | None:
    """Return (width, height) from the header alone, turned as reading does by EXIF; None if unreadable."""
    try:
        with Image.open(path) as image:
            # Pillow would decode a whole PNG to look for EXIF behind the pixels, where nobody puts it
            known = image.format != "PNG" or "exif" in image.info
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if known else 1
            width, height = image.size
    except (OSError, SyntaxError, ValueError) as error:
        problems.append(f"{path} cannot be read as an image ({error}); replace the file or take it out")
        return None
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def _as_list(problems: list[str]) -> str:
    hidden = len(problems) - PROBLEMS_SHOWN
    more = [f"and {hidden} more"] if hidden > 0 else []
    return "\n".join(f"  - {line}" for line in [*problems[:PROBLEMS_SHOWN], *more])

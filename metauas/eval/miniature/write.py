"""Miniature on disk, in MVTec AD's layout: written completely or not at all, and only once."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from metauas.errors import InputError, OutputError
from metauas.eval.miniature.catalogue import CATEGORIES, DEFECTS
from metauas.eval.miniature.render import check_size, render_sample, splits
from metauas.files import atomic_folder, read_json, write_json, write_text

VERSION = 1  # raise it with every change of a pixel
CARD = "miniature.json"

README = """Miniature: a small anomaly detection benchmark in the layout of MVTec AD.

<category>/train/good/000.png            flawless images, one of which is the prompt
<category>/test/good/000.png             flawless images under test
<category>/test/<defect>/000.png         defective images under test
<category>/ground_truth/<defect>/000_mask.png   255 where the defect is visible, else 0

version {version}, seed {seed}, {size} x {size} pixels
{train} train/good, {good} test/good and {defect} images per defect

Four categories are made from photographs that scikit-image ships: brick and gravel (CC0Textures, CC0),
grass (linolafett on DeviantArt, CC0), coin (Brooklyn Museum, no known copyright restrictions).
The others are drawn.
"""


@dataclass(frozen=True)
class Counts:
    """How many images each category has.

    Attributes:
        train: flawless images in ``train/good``.
        good: flawless images in ``test/good``.
        defect: defective images in each ``test/<defect>``.
    """

    train: int = 12
    good: int = 12
    defect: int = 6

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise InputError(f"Counts({name}={value}) leaves a folder empty; give at least 1")

    def of(self, split: str) -> int:
        """Return the number of images in a folder such as ``test/good``."""
        return {"train/good": self.train, "test/good": self.good}.get(split, self.defect)


def write_miniature(root: str | Path, *, seed: int = 0, size: int = 256, counts: Counts | None = None) -> Path:
    """Write the benchmark into a new folder ``root`` and return it; do nothing if ``root`` already holds it.

    Args:
        root: folder to make, with missing parents; it appears under its name when it is complete.
        seed: seed of every image.
        size: side of the images in pixels.
        counts: images per category, ``Counts()`` if None.

    Raises:
        InputError: ``root`` holds something else, which stays unchanged, or the size is too small.
        OutputError: it cannot be written.
    """
    target, amount = Path(root), counts or Counts()
    check_size(size)
    card = {
        "benchmark": "metauas miniature",
        "version": VERSION,
        "seed": seed,
        "size": size,
        "counts": asdict(amount),
        "defects": {category: list(names) for category, names in DEFECTS.items()},
    }
    if _holds(target, card):
        return target
    try:
        with atomic_folder(target) as draft:
            _fill(draft, seed=seed, size=size, counts=amount)
            write_json(draft / CARD, card)
    except OutputError:
        if not _holds(target, card):  # else another process has just finished the same benchmark
            raise
    return target


def _fill(draft: Path, *, seed: int, size: int, counts: Counts) -> None:
    for category, split in ((name, split) for name in CATEGORIES for split in splits(name)):
        for index in range(counts.of(split)):
            sample = render_sample(category=category, split=split, index=index, seed=seed, size=size)
            _save(draft / category / split / f"{index:03d}.png", sample.image)
            if sample.mask.any():
                truth = draft / category / split.replace("test", "ground_truth", 1)
                _save(truth / f"{index:03d}_mask.png", sample.mask.astype(np.uint8) * 255)
    write_text(draft / "README.txt", README.format(version=VERSION, seed=seed, size=size, **asdict(counts)))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)  # noise hardly compresses


def _holds(target: Path, card: dict[str, Any]) -> bool:
    """Return whether ``target`` holds this benchmark; False if it is missing or empty, else raise InputError."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    try:
        found = read_json(target / CARD)
    except (InputError, OSError):  # no card, or a file of that name that is not JSON
        found = None
    if found == card:
        return True
    known = found if isinstance(found, dict) else {}
    what = "another miniature" if known else "something else"
    differs = "".join(f", {key} {known[key]!r}" for key in ("version", "seed", "size", "counts") if key in known)
    raise InputError(f"{target} already holds {what}{differs}; give a folder that does not exist yet")

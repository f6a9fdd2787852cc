"""Benchmarks that come with a list of their images, which is somebody else's and is trusted with nothing."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.problems import Problems, check_image, check_mask
from metauas.eval.benchmarks.layouts.samples import GOOD, Category, Sample
from metauas.files import require_file
from metauas.files.listing import portable


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of such a list.

    Attributes:
        place: where it stands, for messages.
        train: whether it is a training image.
        defect: its kind, ``good`` for a normal image.
        image: path of the image, relative to the folder of the images.
        mask: the same of its mask, empty if it has none.
    """

    place: str
    train: bool
    defect: str
    image: str
    mask: str


def read_table(path: Path, *, columns: Sequence[str], hint: str = "") -> list[tuple[str, dict[str, str]]]:
    """Read a CSV file with a header into pairs of place (file and line) and row.

    Raises:
        InputError: naming the file, and the line where there is one, if it is missing, not UTF-8, not CSV, lacks
            one of ``columns`` or has a row with too few or too many cells.
    """
    rows = []
    try:
        with require_file(path, hint=hint).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"{path} lacks the column {', '.join(missing)}; its first line must name {columns}")
            for row in reader:
                place = f"{path} line {reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{place} does not have {len(reader.fieldnames or [])} cells, as the first line")
                rows.append((place, row))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); save it as such") from error
    except csv.Error as error:
        raise InputError(f"{path} is not valid CSV: {error}") from error
    return rows


def is_name(name: str) -> bool:
    """Return whether a category's name from a list can be part of a path, without leading anywhere."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def category_from(name: str, root: Path, entries: Iterable[Entry], problems: Problems) -> Category:
    """Return a category by its list, and add to ``problems`` what is wrong with the entries and their files.

    Args:
        name: the category.
        root: folder that the paths of the entries are relative to, with either slash, and must not leave.
        entries: the list.
        problems: what is wrong so far.
    """
    train: list[Path] = []
    test: list[Sample] = []
    seen: dict[Path, str] = {}
    for entry in entries:
        image = _inside(root, entry.image, entry.place, problems, category=name)
        if image is None or _is_repeated(image, entry, seen, problems, category=name):
            continue
        if not entry.train:
            test.append(_sample(image, root, entry, problems, category=name))
        elif entry.defect == GOOD:
            check_image(image, problems, category=name)
            train.append(image)
        else:
            problems.add(f"{entry.place}: {image} is a training image with a defect; prompts are normal", category=name)
    for kind, images in (("training", train), ("test", test)):
        if not images:
            problems.add(f"category {name!r} has no {kind} image in its list", category=name)
    return Category(name=name, train_good=train, test=test, folder=root / name)


def _is_repeated(image: Path, entry: Entry, seen: dict[Path, str], problems: Problems, *, category: str) -> bool:
    first = seen.setdefault(image, entry.place)
    if first == entry.place:
        return False
    problems.add(f"{entry.place} names {image} again, first {first}; keep one", category=category, path=image)
    return True


def _sample(image: Path, root: Path, entry: Entry, problems: Problems, *, category: str) -> Sample:
    size = check_image(image, problems, category=category)
    label, mask = entry.defect != GOOD, None
    if label and not entry.mask:
        problems.add(f"{entry.place}: {image} has no mask", category=category, path=image)
    elif label:
        mask = _inside(root, entry.mask, entry.place, problems, category=category)
        if mask is not None:
            check_mask(mask, image, problems, category=category, size=size)
    return Sample(path=image, label=label, defect=entry.defect, mask_path=mask)


def _inside(root: Path, text: str, place: str, problems: Problems, *, category: str) -> Path | None:
    """Return ``root / text``, or None and a problem if that would leave ``root``."""
    parts = PureWindowsPath(text)  # it knows both slashes, and drives
    if text and not parts.anchor and ".." not in parts.parts:
        return root / portable(text)
    problems.add(
        f"{place}: path {text!r} leads out of {root}; give one relative to it, without '..'", category=category
    )
    return None

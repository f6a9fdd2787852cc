"""Benchmarks with a list of their images; the list is not trusted."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.problems import AddProblem, Problems, check_image, check_mask
from metauas.eval.benchmarks.layouts.samples import GOOD, Category, Sample
from metauas.files import require_file
from metauas.files.listing import portable


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a list.

    Attributes:
        place: file and line, for messages.
        train: whether it is a training image.
        defect: kind of defect, ``good`` for a normal image.
        image: path of the image, relative to the folder of the images.
        mask: path of its mask, relative to the same folder; empty without a mask.
    """

    place: str
    train: bool
    defect: str
    image: str
    mask: str


def read_table(path: Path, *, columns: Sequence[str], hint: str = "") -> list[tuple[str, dict[str, str]]]:
    """Read a CSV file with a header into pairs of place (file and line) and row.

    Raises:
        InputError: the file is missing, not UTF-8 or not CSV, lacks one of ``columns``, or a row has too few or too
            many cells; names the file and, if possible, the line.
    """
    rows = []
    try:
        with require_file(path, hint=hint).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [column for column in columns if column not in (reader.fieldnames or [])]:
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


def leads_out(text: str) -> bool:
    """Return whether a path from a list is empty, absolute or has ``..``, so that it would leave its root."""
    parts = PureWindowsPath(text)  # which knows both slashes, and drives
    return not text or bool(parts.anchor) or ".." in parts.parts


def category_from(name: str, root: Path, entries: Iterable[Entry], problems: Problems) -> Category:
    """Return a category from its list, and add the problems of its entries and files to ``problems``.

    Args:
        name: of the category.
        root: folder of the images. Paths of entries, with either slash, are relative to it and must not leave it.
        entries: the list.
        problems: those found so far.
    """
    add = partial(problems.add, category=name)
    train: list[Path] = []
    test: list[Sample] = []
    seen: dict[Path, str] = {}
    for entry in entries:
        image = _inside(root, entry.image, entry.place, add)
        if image is None:
            continue
        if (first := seen.setdefault(image, entry.place)) != entry.place:
            add(f"{entry.place} names {image} again, first {first}; keep one", path=image)
        elif not entry.train:
            test.append(_sample(image, root, entry, add))
        elif entry.defect == GOOD:
            check_image(image, add)
            train.append(image)
        else:
            add(f"{entry.place}: {image} is a training image with a defect; prompts are normal")
    for kind, images in (("training", train), ("test", test)):
        if not images:
            add(f"category {name!r} has no {kind} image in its list")
    return Category(name=name, train_good=train, test=test, folder=root / name)


def _sample(image: Path, root: Path, entry: Entry, add: AddProblem) -> Sample:
    size = check_image(image, add)
    label, mask = entry.defect != GOOD, None
    if label and not entry.mask:
        add(f"{entry.place}: {image} has no mask", path=image)
    elif label:
        mask = _inside(root, entry.mask, entry.place, add)
        if mask is not None:
            check_mask(mask, image, add, size=size)
    return Sample(path=image, label=label, defect=entry.defect, mask_path=mask)


def _inside(root: Path, text: str, place: str, add: AddProblem) -> Path | None:
    """Return ``root / text``; None and a problem if that would leave ``root``."""
    if leads_out(text):
        add(f"{place}: path {text!r} leads out of {root}; give one relative to it, without '..'")
        return None
    return root / portable(text)

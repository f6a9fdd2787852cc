"""Folder names in their variants: the parts of a category, and the folder of its normal images."""

from collections.abc import Collection
from difflib import SequenceMatcher
from pathlib import Path

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts.problems import AddProblem
from metauas.eval.benchmarks.layouts.samples import GOOD
from metauas.files.listing import find_entry, folders_in, is_folder

#: Names of folders of normal images, in any case.
GOOD_NAMES = (GOOD, "ok", "normal")
_SIMILAR = 0.8  # of 1; "abnormal" and "nok" are as similar, but begin otherwise


def part_of(folder: Path, name: str, add: AddProblem) -> Path:
    """Return the folder ``name`` of a category, in any case, or the expected path if there is none."""
    try:
        return find_entry(folder, name) or folder / name
    except InputError as error:
        add(str(error))
        return folder / name


def good_folder(parent: Path, names: Collection[str], add: AddProblem) -> Path | None:
    """Return the folder of normal images in ``parent``, None if there is none.

    Two such folders, and a folder with nearly such a name, are problems.

    Args:
        parent: a category's folder ``train`` or ``test``.
        names: allowed names of the folder, matched in any case.
        add: records problems of the category.
    """
    folders = folders_in(parent) if is_folder(parent) else []
    found = [folder for folder in folders if folder.name.casefold() in names]
    if len(found) > 1:
        several = " and ".join(folder.name for folder in found)
        add(f"{parent} holds {several}, which are all names of the folder of normal images; keep one of them")
    for folder in folders:
        if near := nearly_good(folder.name):
            hint = f"did you mean {near!r}?; rename it to {near}, or to a defect"
            add(f"{folder} would be a folder of defects, {hint}", path=folder)
    return found[0] if found else None


def nearly_good(name: str) -> str | None:
    """Return the name of good folders nearest to a misspelt ``name``; None if it is correct or not similar.

    >>> nearly_good("goods"), nearly_good("abnormal"), nearly_good("GOOD")
    ('good', None, None)
    """
    word = name.casefold()
    if word in GOOD_NAMES:
        return None
    near = (known for known in (GOOD, "normal") if word[:1] == known[:1])
    return next((known for known in near if SequenceMatcher(None, word, known).ratio() >= _SIMILAR), None)


def similar_folder(folder: Path, name: str) -> str:
    """Return ``", did you mean …?"`` for the folder in ``folder`` named most like ``name``, else an empty string."""
    return did_you_mean(name, [entry.name for entry in folders_in(folder)]) if is_folder(folder) else ""

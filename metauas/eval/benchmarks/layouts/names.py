"""Names of folders as people write them: the parts of a category, and the folder of its normal images."""

from collections.abc import Collection
from difflib import SequenceMatcher
from pathlib import Path

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts.problems import Problems
from metauas.eval.benchmarks.layouts.samples import GOOD
from metauas.files.listing import find_entry, folders_in, is_folder

#: Names of folders of normal images, in any case.
GOOD_NAMES = (GOOD, "ok", "normal")
_SIMILAR = 0.8  # of 1; "abnormal" and "nok" are as similar, but begin otherwise


def part_of(folder: Path, name: str, problems: Problems, *, category: str) -> Path:
    """Return the folder ``name`` of a category, in any case; the path that it should have if there is none."""
    try:
        return find_entry(folder, name) or folder / name
    except InputError as error:
        problems.add(str(error), category=category)
        return folder / name


def good_folder(parent: Path, names: Collection[str], problems: Problems, *, category: str) -> Path | None:
    """Return the folder of normal images in ``parent``, None if there is none.

    Args:
        parent: a category's folder ``train`` or ``test``.
        names: that the folder may have, in any case.
        problems: gets a problem if two folders have such a name, or one has nearly such a name.
        category: that it is of.
    """
    folders = folders_in(parent) if is_folder(parent) else []
    found = [folder for folder in folders if folder.name.casefold() in names]
    if len(found) > 1:
        several = " and ".join(folder.name for folder in found)
        text = f"{parent} holds {several}, which are all names of the folder of normal images; keep one of them"
        problems.add(text, category=category)
    for folder in folders:
        if near := nearly_good(folder.name):
            text = f"{folder} would be a folder of defects, did you mean {near!r}?; rename it to {near}, or to a defect"
            problems.add(text, category=category, path=folder)
    return found[0] if found else None


def nearly_good(name: str) -> str | None:
    """Return the name of a good folder that ``name`` nearly is, such as ``good`` for ``goood``; None if it is none.

    >>> nearly_good("goods"), nearly_good("abnormal"), nearly_good("GOOD")
    ('good', None, None)
    """
    word = name.casefold()
    if word in GOOD_NAMES:
        return None
    near = (known for known in (GOOD, "normal") if word[:1] == known[:1])
    return next((known for known in near if SequenceMatcher(None, word, known).ratio() >= _SIMILAR), None)


def similar_folder(folder: Path, name: str) -> str:
    """Return a question after the folder in ``folder`` that is nearly called ``name``, else an empty string."""
    return did_you_mean(name, [entry.name for entry in folders_in(folder)]) if is_folder(folder) else ""

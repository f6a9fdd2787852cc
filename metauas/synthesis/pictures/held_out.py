"""Which files are held out for validation, decided by their names alone."""

import zlib
from collections.abc import Sequence

from metauas.errors import check_choice

#: ``all`` is for data that comes split already, such as COCO's train2017 and val2017.
FILE_SPLITS = ("train", "validation", "all")

_EVERY = 20  # one of so many is held out: 5 % (paper, section 4.1)


def in_split(name: str, split: str) -> bool:
    """Whether the file or image of this name belongs to ``split``, whatever else is in the data set.

    Raises:
        InputError: an unknown split.
    """
    check_choice(name="split", value=split, choices=FILE_SPLITS)
    is_held_out = zlib.crc32(name.encode()) % _EVERY == 0
    return split == "all" or is_held_out == (split == "validation")


def names_in_split(names: Sequence[str], split: str) -> list[str]:
    """Return those of ``names`` that belong to ``split``, in their order.

    Of a small folder, in which no name (or every name) would be held out by itself, the one of the lowest (highest)
    hash is, so that two names are enough for both splits.

    Raises:
        InputError: an unknown split.
    """
    check_choice(name="split", value=split, choices=FILE_SPLITS)
    distinct = set(names)
    held_out = {name for name in distinct if in_split(name, "validation")}
    if len(distinct) > 1 and not held_out:
        held_out = {min(distinct, key=_rank)}
    elif len(distinct) > 1 and held_out == distinct:
        held_out = distinct - {max(distinct, key=_rank)}
    return [name for name in names if split == "all" or (name in held_out) == (split == "validation")]


def _rank(name: str) -> tuple[int, str]:
    return zlib.crc32(name.encode()), name

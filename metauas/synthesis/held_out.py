"""Which files are held out for validation, decided by their names alone."""

import zlib

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

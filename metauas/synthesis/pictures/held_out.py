"""Which files are held out for validation, decided by their names alone."""

import zlib
from collections.abc import Sequence

from metauas.errors import check_choice

#: ``all`` is for data that comes split already, such as COCO's train2017 and val2017.
FILE_SPLITS = ("train", "validation", "all")

_EVERY = 20  # one of so many is held out: 5 % (paper, section 4.1)


def names_in_split(names: Sequence[str], split: str) -> list[str]:
    """Return those of ``names`` that belong to ``split``, in their order.

    A name's hash decides, whatever else is in the data set. In a small folder, two names are enough for both splits: if
    no name would be held out, the one with the lowest hash is; if every name would be, the one with the highest is not.

    Raises:
        InputError: an unknown split.
    """
    check_choice(name="split", value=split, choices=FILE_SPLITS)
    ranked = sorted({(zlib.crc32(name.encode()), name) for name in names})
    held_out = {name for rank, name in ranked if rank % _EVERY == 0}
    if len(ranked) > 1 and not held_out:
        held_out = {ranked[0][1]}
    elif len(ranked) > 1 and len(held_out) == len(ranked):
        held_out.remove(ranked[-1][1])
    return [name for name in names if split == "all" or (name in held_out) == (split == "validation")]

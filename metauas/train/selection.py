"""Select the validated network to keep, and decide when to stop early, from the learning curves."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

JUDGED_BY = "P-AP"  # on held-out pairs, of all kinds together


def validated_rows(history: Sequence[Row]) -> list[Row]:
    """Return the rows that hold a validation."""
    return [row for row in history if "validation loss" in row]


def best_row(history: Sequence[Row]) -> Row | None:
    """Return the first validation with the highest P-AP; where none is defined, the last; None without any."""
    rows = validated_rows(history)
    defined = [row for row in rows if not math.isnan(row[JUDGED_BY])]
    if defined:
        return max(defined, key=lambda row: row[JUDGED_BY])
    return rows[-1] if rows else None


def kept_row(history: Sequence[Row], *, keep: str) -> Row | None:
    """Return the validation whose network is kept: the ``best`` or the ``last``."""
    rows = validated_rows(history)
    return best_row(rows) if keep == "best" or not rows else rows[-1]


def is_exhausted(history: Sequence[Row], *, patience: int | None) -> bool:
    """Whether the last ``patience`` validations were no better than the best before them."""
    rows = validated_rows(history)
    best = best_row(rows)
    if patience is None or best is None:
        return False
    return len(rows) - 1 - rows.index(best) >= patience

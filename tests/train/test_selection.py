import math

import pytest

from metauas.train.selection import best_row, is_exhausted, kept_row


def curve(*values):
    """A history with a row of the training loss before each validation."""
    rows = []
    for step, value in enumerate(values, start=1):
        rows += [{"step": 2 * step - 1, "loss": 1.0}]
        rows += [{"step": 2 * step, "loss": 1.0, "validation loss": 1.0, "P-AP": value}]
    return rows


@pytest.mark.parametrize(
    ("values", "best"),
    [((0.1, 0.5, 0.3), 4), ((0.5, 0.5), 2), ((math.nan, 0.1, math.nan), 4), ((math.nan, math.nan), 4)],
)
def test_the_best_is_the_first_with_the_highest_precision(values, best):
    assert best_row(curve(*values))["step"] == best
    assert kept_row(curve(*values), keep="best")["step"] == best
    assert kept_row(curve(*values), keep="last")["step"] == 2 * len(values)


def test_without_a_validation_there_is_nothing_to_keep():
    rows = [{"step": 1, "loss": 1.0}]
    assert best_row(rows) is kept_row(rows, keep="best") is kept_row(rows, keep="last") is None
    assert not is_exhausted(rows, patience=1)


@pytest.mark.parametrize(
    ("values", "patience", "ends"),
    [
        ((0.1, 0.2, 0.3), 1, False),
        ((0.3, 0.2), 1, True),
        ((0.3, 0.2), 2, False),
        ((0.3, 0.2, 0.3), 2, True),
        ((0.3, 0.2, 0.4, 0.1), 2, False),
        ((0.3, 0.2, 0.1, 0.0), None, False),
    ],
)
def test_a_run_ends_when_nothing_gets_better(values, patience, ends):
    assert is_exhausted(curve(*values), patience=patience) is ends

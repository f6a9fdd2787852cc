"""Is one variant better than another? Paired differences with a confidence interval."""

from __future__ import annotations  # pd.Series takes a type for checkers only

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from metauas.ablations.collect import MEAN
from metauas.errors import InputError


@dataclass(frozen=True)
class Comparison:
    """The difference ``better − other`` of one metric, over pairs of the same seed and category.

    Attributes:
        better: the variant that is expected to be better.
        other: the one it is compared with.
        metric: the metric compared.
        difference: mean difference, as a fraction.
        low: lower end of the 95 % interval (Student's t over the pairs); NaN for a single pair.
        high: its upper end.
        pairs: number of pairs.
    """

    better: str
    other: str
    metric: str
    difference: float
    low: float
    high: float
    pairs: int

    def sentence(self) -> str:
        """Say what the numbers say, and when they say nothing."""
        figures = f"{self.metric}: {self.better} − {self.other} = {100 * self.difference:+.1f} points"
        if math.isnan(self.low):
            return f"{figures} (one pair only: no interval)"
        figures += f" (95 % interval {100 * self.low:+.1f} to {100 * self.high:+.1f}, {self.pairs} pairs)"
        if self.low > 0:
            return f"{figures}: {self.better} is better."
        if self.high < 0:
            return f"{figures}: {self.other} is better."
        return f"{figures}: not significant."


def compare(frame: pd.DataFrame, *, better: str, other: str, metric: str, condition: str | None = None) -> Comparison:
    """Compare two variants of one factor.

    Args:
        frame: rows of one factor from ``collect_metrics``.
        better: the variant that is expected to be better.
        other: the variant it is compared with.
        metric: the metric compared.
        condition: which condition to look at; None takes the mean over all.

    Raises:
        InputError: there is no pair of the two variants with the same seed and category.
    """
    rows = frame[(frame["metric"] == metric) & (frame["category"] != MEAN)]
    if condition is not None:
        rows = rows[rows["condition"] == condition]
    # conditions of one seed and category share network and images: they are averaged, not counted as pairs
    wide = rows.pivot_table(index=["seed", "category"], columns="variant", values="value")
    if not {better, other} <= set(wide.columns):
        raise InputError(f"no runs of both {better!r} and {other!r}; there are {', '.join(map(str, wide.columns))}")
    differences: pd.Series[float] = (wide[better] - wide[other]).dropna()
    if differences.empty:
        raise InputError(f"{better!r} and {other!r} share no seed and category")
    mean, reach = float(differences.mean()), math.nan
    if len(differences) > 1:
        reach = float(stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1))
    return Comparison(better, other, metric, mean, mean - reach, mean + reach, len(differences))

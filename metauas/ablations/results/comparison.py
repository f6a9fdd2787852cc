"""Compare variants, each with the one that is expected to be best: paired differences with a confidence interval."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import product

import pandas as pd
from scipy import stats

from metauas.ablations.results.collect import MEAN
from metauas.errors import InputError

#: The variant of each factor that the paper chose, or (prompts) shows to be better.
CHOSEN = {
    "alignment": "soft",
    "decoder": "unet-scse",
    "encoder": "efficientnet-b4",
    "freezing": "frozen",
    "fusion": "concat",
    "kinds": "both",
    "pairs": "all",
    "pairs-paper": "all",
    "pool-size": "all",
    "prompt": "nearest",
    "resolution-paper": "256",
    "similarity": "dot",
    "stages": "3",
}


@dataclass(frozen=True)
class Comparison:
    """The difference ``better − other`` of one metric, over pairs of the same seed and category.

    Where the seed changes neither variant, each category is one pair.

    Attributes:
        better: the variant that is expected to be better.
        other: the other variant.
        metric: the metric compared.
        difference: mean difference, as a fraction.
        low: lower end of the 95 % interval (Student's t over the pairs); NaN for a single pair.
        high: its upper end.
        pairs: number of pairs.
        factor: of the variants.
    """

    better: str
    other: str
    metric: str
    difference: float
    low: float
    high: float
    pairs: int
    factor: str = ""

    def verdict(self) -> str:
        """Return which variant is better, or that the difference is not significant."""
        if math.isnan(self.low):
            return "one pair only: no interval"
        if self.low > 0:
            return f"{self.better} is better"
        return f"{self.other} is better" if self.high < 0 else "not significant"

    def sentence(self) -> str:
        """Return the comparison as a sentence."""
        figures = f"{self.metric}: {self.better} − {self.other} = {100 * self.difference:+.1f} points"
        if math.isnan(self.low):
            return f"{figures} (one pair only: no interval)"
        interval = f"95 % interval {100 * self.low:+.1f} to {100 * self.high:+.1f}, {self.pairs} pairs"
        return f"{figures} ({interval}): {self.verdict()}."


def compare(frame: pd.DataFrame, *, better: str, other: str, metric: str, condition: str | None = None) -> Comparison:
    """Compare two variants of one factor, as ``Comparison`` describes it.

    Args:
        frame: rows of one factor from ``collect_metrics``.
        better: the variant that is expected to be better.
        other: the other variant.
        metric: the metric.
        condition: the condition; None takes the mean over all conditions.

    Raises:
        InputError: the two variants have no seed and category in common.
    """
    rows = frame[(frame["metric"] == metric) & (frame["category"] != MEAN)]
    if condition is not None:
        rows = rows[rows["condition"] == condition]
    # conditions of one seed and category share network and images: they are averaged, not counted as pairs
    wide = rows.pivot_table(index=["seed", "category"], columns="variant", values="value")
    if not {better, other} <= set(wide.columns):
        raise InputError(f"no runs of both {better!r} and {other!r}; there are {', '.join(map(str, wide.columns))}")
    both = wide[[better, other]].dropna()
    if (both.groupby("category").nunique() <= 1).all(axis=None):  # no seed changes anything: copies are no evidence
        both = both.groupby("category").mean()
    differences: pd.Series[float] = both[better] - both[other]
    if differences.empty:
        raise InputError(f"{better!r} and {other!r} share no seed and category")
    mean, reach = float(differences.mean()), math.nan
    if len(differences) > 1:
        reach = float(stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1))
    factor = ", ".join(frame["factor"].unique()) if "factor" in frame else ""
    return Comparison(better, other, metric, mean, mean - reach, mean + reach, len(differences), factor)


def compare_all(frame: pd.DataFrame, *, metrics: Sequence[str] = ("I-AUROC", "P-AP", "AUPRO")) -> list[Comparison]:
    """Compare the chosen variant of each factor with every other one, by each metric.

    The last variant replaces a chosen one that was not run. Variants without a common seed and category are left out.

    Args:
        frame: the table of ``collect_metrics``.
        metrics: the metrics, in this order.
    """
    found = []
    for factor, rows in frame.groupby("factor", sort=False):
        variants = list(rows["variant"].unique())
        chosen = CHOSEN[str(factor)] if CHOSEN.get(str(factor)) in variants else variants[-1]
        others = [variant for variant in variants if variant != chosen]
        for other, metric in product(others, metrics):
            with suppress(InputError):  # no pair
                found.append(compare(rows, better=chosen, other=other, metric=metric))
    return found


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return a table of comparisons in points, each with a verdict whether the difference is significant."""
    rows = [{**asdict(one), "verdict": one.verdict()} for one in comparisons]
    columns = ["factor", "better", "other", "metric", "difference", "low", "high", "pairs", "verdict"]
    table = pd.DataFrame(rows, columns=columns)
    table[["difference", "low", "high"]] = (100 * table[["difference", "low", "high"]]).round(1)
    names = {"better": "variant", "other": "minus", "low": "95 % from", "high": "to"}
    return table.rename(columns=names)

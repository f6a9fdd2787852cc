"""Compare every variant of a factor with the one that is expected to be best."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from metauas.ablations.results.comparison import Comparison, compare
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


def compare_all(frame: pd.DataFrame, *, metrics: Sequence[str] = ("I-AUROC", "P-AP", "AUPRO")) -> list[Comparison]:
    """Compare the chosen variant of each factor with every other one, by each metric.

    The last variant replaces a chosen one that was not run. Variants without a common seed and category are left out.

    Args:
        frame: the table of ``collect_metrics``.
        metrics: the metrics, in this order.
    """
    return [one for factor, rows in frame.groupby("factor", sort=False) for one in _of(str(factor), rows, metrics)]


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return a table of comparisons in points, each with a verdict whether the difference is significant."""
    rows = [{**asdict(one), "verdict": one.verdict()} for one in comparisons]
    table = pd.DataFrame(rows, columns=["factor", "better", "other", "metric", "difference", "low", "high", "pairs"])
    table[["difference", "low", "high"]] = (100 * table[["difference", "low", "high"]]).round(1)
    table["verdict"] = [row["verdict"] for row in rows]
    names = {"better": "variant", "other": "minus", "low": "95 % from", "high": "to"}
    return table.rename(columns=names)


def _of(factor: str, rows: pd.DataFrame, metrics: Sequence[str]) -> Iterator[Comparison]:
    variants = list(rows["variant"].unique())
    chosen = CHOSEN[factor] if CHOSEN.get(factor) in variants else variants[-1]
    for other in variants:
        for metric in metrics if other != chosen else ():
            try:
                yield compare(rows, better=chosen, other=other, metric=metric)
            except InputError:  # no pair
                continue

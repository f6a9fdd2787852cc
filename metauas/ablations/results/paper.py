"""The paper's published figures, next to those of our runs."""

from pathlib import Path

import pandas as pd

from metauas.ablations.results.collect import MEAN, format_mean_std


def published() -> pd.DataFrame:
    """Return the paper's figures: factor, variant, dataset, metric, mean, std (percent) and table, a row a number.

    Source: Gao, NeurIPS 2024, arXiv 2505.09265, Tables 1 and 2.
    """
    return pd.read_csv(Path(__file__).with_name("paper.csv"), comment="#", dtype={"variant": str})


def beside_paper(frame: pd.DataFrame, *, dataset: str = "MVTec AD") -> pd.DataFrame:
    """Return the paper's figures next to ours for the variants that both have, ``mean ± std`` in percent.

    The paper's network is EfficientNet-b4: with another benchmark or network, compare directions, not levels.

    Args:
        frame: the table of ``collect_metrics``.
        dataset: one of the paper's benchmarks.

    Returns:
        Rows (factor, variant), columns (metric, ``ours`` or ``paper, <dataset>``); empty if nothing is in common.
    """
    ours = frame[frame["category"] == MEAN]
    if "condition" in ours:
        ours = ours[ours["condition"] == ours.groupby("factor")["condition"].transform("first")]
    keys = ["factor", "variant", "metric"]
    means = ours.groupby(keys, sort=False)["value"].agg(["mean", "std"]).reset_index()
    paper = published()[published()["dataset"] == dataset]
    both = means.merge(paper, on=keys, suffixes=(" ours", ""))
    columns = ["ours", f"paper, {dataset}"]
    both[columns[0]] = [format_mean_std(*pair) for pair in zip(both["mean ours"], both["std ours"], strict=True)]
    both[columns[1]] = [format_mean_std(*pair, scale=1.0) for pair in zip(both["mean"], both["std"], strict=True)]
    wide = both.pivot(index=["factor", "variant"], columns="metric", values=columns).swaplevel(axis=1)
    order = [(metric, column) for metric in paper["metric"].unique() for column in columns]
    return wide[[pair for pair in order if pair in wide.columns]].fillna("–")

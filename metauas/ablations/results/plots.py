"""Figures of an ablation, in colours for the colour-blind."""

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metauas.ablations.results.collect import MEAN
from metauas.errors import InputError, check_choice


def plot_factor(frame: pd.DataFrame, *, metrics: Sequence[str] = ("I-AUROC", "P-AP", "AUPRO")) -> Figure:
    """Draw a panel for each metric: each seed, and mean ± sample deviation, of every variant of a factor.

    Args:
        frame: rows of one factor (and one condition) of the table of ``collect_metrics``.
        metrics: the metrics to draw, in this order.

    Returns:
        The figure, 100 dpi, about 240 pixels for each panel; not registered with pyplot, so it needs no closing.

    Raises:
        InputError: for a metric that is not in the table.
    """
    for metric in metrics:
        check_choice(name="metric", value=metric, choices=frame["metric"].unique())
    points = frame[frame["category"] == MEAN].assign(percent=lambda rows: rows["value"] * 100)
    variants = list(points["variant"].unique())
    size = (2.4 * len(metrics) + 0.4, 0.4 * len(variants) + 1.0)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        _draw(panel, points[points["metric"] == metric], variants=variants)
        panel.set_title(metric, fontsize=10)
    panels[0].set_ylabel(", ".join(frame["factor"].unique()), fontsize=9)
    figure.supxlabel("percent: one dot a seed, mean ± sample deviation", fontsize=8)
    return figure


def natural(frame: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Return the rows of one factor under its main condition, the first: prompts as they are."""
    rows = frame[frame["factor"] == factor]
    return rows[rows["condition"] == rows["condition"].iloc[0]] if "condition" in rows else rows


def plot_conditions(frame: pd.DataFrame, *, metric: str) -> Figure:
    """Draw one metric of every variant over its conditions: mean, and sample deviation over seeds as a band.

    Args:
        frame: rows of one factor of the table of ``collect_metrics``, with several conditions.
        metric: the metric to draw.

    Raises:
        InputError: for a metric that is not in the table, or runs without conditions.
    """
    check_choice(name="metric", value=metric, choices=frame["metric"].unique())
    if "condition" not in frame:
        raise InputError("these runs have one condition only; give 04_eval several `rotations`")
    chosen = (frame["category"] == MEAN) & (frame["metric"] == metric)
    points = frame[chosen].assign(percent=lambda rows: rows["value"] * 100)
    figure = Figure(figsize=(5.2, 2.8), dpi=100, layout="constrained")
    panel = figure.subplots()
    sns.lineplot(
        points, x="condition", y="percent", hue="variant", style="variant", markers=True, dashes=False,
        errorbar="sd", palette="colorblind", ax=panel,
    )  # fmt: skip
    panel.set(xlabel="", ylabel=f"{metric}, percent")
    panel.tick_params(labelsize=8)
    panel.legend(frameon=False, fontsize=8)
    sns.despine(ax=panel)
    return figure


def _draw(panel: Axes, points: pd.DataFrame, *, variants: list[str]) -> None:
    """Draw variants as rows, which leave room for long names, with the mean a little below the seeds."""
    colours = sns.color_palette("colorblind", len(variants))
    rows = {"y": "variant", "order": variants, "hue": "variant", "hue_order": variants, "palette": colours}
    sns.stripplot(points, x="percent", **rows, ax=panel, size=4, alpha=0.6, jitter=False, legend=False)
    means = points.groupby("variant")["percent"].agg(["mean", "std"]).reindex(variants)
    for row, (mean, std) in enumerate(means.itertuples(index=False)):
        panel.errorbar(mean, row + 0.22, xerr=std, fmt="D", markersize=5, capsize=3, color=colours[row])
    panel.set(xlabel="", ylabel="")
    panel.tick_params(labelsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_ylim(len(means) - 0.4, -0.5)
    sns.despine(ax=panel)

"""Figures of an ablation: small, readable at 100 dpi, in colours that the colour-blind can tell apart."""

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metauas.ablations.collect import MEAN
from metauas.errors import check_choice


def plot_factor(frame: pd.DataFrame, *, metrics: Sequence[str] = ("I-AUROC", "P-AP", "AUPRO")) -> Figure:
    """Draw one panel a metric: each seed, and mean ± sample deviation, of every variant of a factor.

    Args:
        frame: rows of one factor (and one condition) of the table of ``collect_metrics``.
        metrics: the metrics to draw, in this order.

    Returns:
        The figure, 100 dpi, about 240 pixels a panel; not registered with pyplot, so nothing needs closing.

    Raises:
        InputError: for a metric that is not in the table.
    """
    for metric in metrics:
        check_choice(name="metric", value=metric, choices=frame["metric"].unique())
    points = frame[frame["category"] == MEAN].assign(percent=lambda rows: rows["value"] * 100)
    figure = Figure(figsize=(2.4 * len(metrics) + 0.4, 2.6), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        _draw(panel, points[points["metric"] == metric])
        panel.set_title(metric, fontsize=10)
    panels[0].set_ylabel("percent", fontsize=9)
    figure.supxlabel(", ".join(frame["factor"].unique()), fontsize=9)
    return figure


def _draw(panel: Axes, points: pd.DataFrame) -> None:
    """Draw the seeds faintly beside mean and spread, so that neither hides the other."""
    shared = {"data": points, "x": "variant", "y": "percent", "hue": "variant", "palette": "colorblind"}
    sns.stripplot(**shared, ax=panel, size=4, alpha=0.5, jitter=False, legend=False)
    sns.pointplot(
        **shared,
        ax=panel,
        errorbar="sd",
        linestyle="none",
        marker="D",
        markersize=5,
        capsize=0.15,
        err_kws={"linewidth": 1.2},
        legend=False,
    )
    panel.set(xlabel="", ylabel="")
    panel.tick_params(labelsize=8)
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.margins(x=0.15)
    sns.despine(ax=panel)

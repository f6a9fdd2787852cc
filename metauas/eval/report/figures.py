"""Figures of an evaluation: metrics by category, robustness, curves and galleries."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metauas.metrics.pro import PRO_LIMIT
from metauas.plots import COLOURS, open_axes, picture_grid


def show_categories(table: pd.DataFrame, *, metric: str) -> Figure:
    """Draw one metric of every method in every category, with the spread over prompts.

    ``table`` is that of ``Evaluation.table``: rows (method, category), columns (metric, mean or std).
    """
    methods = list(dict.fromkeys(table.index.get_level_values(0)))
    categories = list(dict.fromkeys(table.index.get_level_values(1)))
    figure, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    width = 0.8 / len(methods)
    for number, (method, colour) in enumerate(zip(methods, COLOURS, strict=False)):
        rows = table.loc[method].loc[categories]
        place = np.arange(len(categories)) + (number - (len(methods) - 1) / 2) * width
        axis.bar(place, rows[metric, "mean"], width, yerr=rows[metric, "std"].fillna(0), label=method, color=colour)
    axis.set_xticks(np.arange(len(categories)), categories, rotation=20)
    axis.set(ylabel=metric, ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8, ncols=len(methods), loc="upper center", bbox_to_anchor=(0.5, 1.18))
    open_axes(figure)
    return figure


def show_robustness(summary: pd.DataFrame, *, metric: Sequence[str] = ("I-AUROC", "P-AP")) -> Figure:
    """Draw metrics of ``Robustness.summary`` against the level of each disturbance, one panel per disturbance.

    Bands and bars are one sample deviation over prompt seeds to each side; the vertical line is the unchanged prompt.
    """
    names = list(dict.fromkeys(summary["disturbance"]))
    across = min(3, len(names))
    down = -(-len(names) // across)
    size = (2.7 * across, 2.1 * down + 0.3)
    figure, axes = plt.subplots(down, across, squeeze=False, sharey=True, figsize=size, layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        _robustness_panel(axis, summary[summary["disturbance"] == name], metrics=metric)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    lines, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(lines, labels, frameon=False, fontsize=8, ncols=len(metric), loc="outside upper center")
    open_axes(figure)
    return figure


def _robustness_panel(axis: Axes, rows: pd.DataFrame, *, metrics: Sequence[str]) -> None:
    kind = rows["disturbance"].iloc[0]
    axis.axvline(rows.loc[rows["untouched"], "level"].iloc[0], color="0.85", lw=1, zorder=0)
    for metric, colour in zip(metrics, COLOURS, strict=False):
        curve = rows[rows["metric"] == metric].sort_values("level")
        level, mean, std = (curve[name].to_numpy(dtype=float) for name in ("level", "mean", "std"))
        if kind == "defective":  # two kinds of prompts without levels between them
            axis.errorbar(level, mean, yerr=np.nan_to_num(std), fmt="o", ms=4, capsize=3, color=colour, label=metric)
        else:
            axis.plot(level, mean, "o-", ms=3, color=colour, label=metric)
            axis.fill_between(level, mean - std, mean + std, color=colour, alpha=0.2, lw=0)
    axis.set_title(f"{kind} prompt" if kind == "defective" else kind, fontsize=9)
    axis.set_xlabel(rows["unit"].iloc[0], fontsize=8)
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=8)
    if kind == "defective":
        axis.set(xlim=(-0.5, 1.5), xlabel="")
        axis.set_xticks([0, 1], ["normal", "defective"])


def show_curves(
    curves: Mapping[str, Mapping[str, Any]], *, metrics: Sequence[str] = ("I-AUROC", "P-AUROC", "AUPRO")
) -> Figure:
    """Draw the curves of every category (``MapGatherer.curves``), one panel per metric."""
    figure, axes = plt.subplots(1, len(metrics), squeeze=False, figsize=(3.4 * len(metrics), 3.2), layout="constrained")
    styles = [(colour, line) for line in ("-", "--", ":", "-.") for colour in COLOURS]
    for axis, metric in zip(axes[0], metrics, strict=True):
        for (name, of_category), (colour, line) in zip(curves.items(), cycle(styles)):
            if metric in of_category:
                curve = of_category[metric]
                axis.plot(curve.x, curve.y, line, color=colour, lw=1.3, label=name)
        overlaps = metric == "AUPRO"
        chance = PRO_LIMIT if overlaps else 1.0
        axis.plot([0, chance], [0, chance], color="0.8", lw=0.8, zorder=0)
        axis.set(title=metric, xlabel="false-positive rate", ylim=(0, 1.02), xlim=(0, chance))
        axis.set_ylabel("mean overlap with the regions" if overlaps else "true-positive rate")
    handles = {text: handle for axis in axes[0] for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    if handles:
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(3 * len(metrics), 5), fontsize=7)
    open_axes(figure)
    return figure


def show_gallery(cases: Sequence[Any], *, across: int = 1) -> Figure:
    """Show gathered test images (``Case``): prompt, query with true mask, map, and query with predicted contours."""
    rows = [(case.title, [case.prompt, case.truth, case.map, case.found]) for case in cases]
    return picture_grid(rows, headings=("prompt", "query + truth", "anomaly map", "query + found"), across=across)

"""Figures of an ablation: metrics in colours for the colour-blind, and the anomaly maps of its variants."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metauas.ablations.results.collect import MEAN, metrics_files
from metauas.errors import InputError, check_choice
from metauas.files.decoding import open_image, rgb_bytes
from metauas.files.listing import folders_in
from metauas.files.maps import read_map

Pictures = dict[str, dict[str, np.ndarray]]  # variant → prompt, query, map


def plot_factor(frame: pd.DataFrame, *, metrics: Sequence[str] = ("I-AUROC", "P-AP", "AUPRO")) -> Figure:
    """Draw a panel for each metric: each seed, and mean ± sample deviation, of every variant of a factor.

    Args:
        frame: rows of one factor (and one condition) of the table of ``collect_metrics``.
        metrics: the metrics to draw, in this order.

    Returns:
        The figure at 100 dpi, about 240 pixels for each panel. It is not registered with pyplot and needs no closing.

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


# --- maps


def show_maps(*folders: str | Path, factor: str, queries: int = 3) -> Figure:
    """Draw a row for each query: the query with the true outline, then each variant's map with its prompt in a corner.

    The maps are those of the first seed that all variants have, scaled by the highest score in the category.

    Args:
        folders: of sweeps, as ``collect_metrics`` takes them.
        factor: the factor whose variants are compared.
        queries: number of queries, one of each category.

    Raises:
        InputError: no seed, or no query, is common to all variants.
    """
    examples = _common_examples(factor, _example_folders(*folders, factor=factor))[:queries]
    variants = list(examples[0][1])
    size = (1.35 * (len(variants) + 1), 1.35 * len(examples) + 0.3)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    panels = figure.subplots(len(examples), len(variants) + 1, squeeze=False)
    for panel, title in zip(panels[0], ["query", *variants], strict=True):
        panel.set_title(title, fontsize=8, pad=3)
    for row, (name, pictures) in zip(panels, examples, strict=True):
        _show(row[0], next(iter(pictures.values()))["query"])
        row[0].set_ylabel(name.split("--")[0], fontsize=8)
        for panel, variant in zip(row[1:], variants, strict=True):
            _show(panel, pictures[variant]["map"])
            _show(panel.inset_axes((0.0, 0.0, 0.32, 0.32)), pictures[variant]["prompt"])
    return figure


def _example_folders(*folders: str | Path, factor: str) -> dict[str, Path]:
    """Return the folder of the examples of each variant, under the first seed that all of them have."""
    found: dict[str, dict[str, Path]] = {}
    for file in metrics_files(*folders):
        own, variant, seed = file.parts[-5:-2]
        if own == factor and (file.parent / "examples").is_dir():
            found.setdefault(variant, {})[seed] = file.parent / "examples"
    seeds = [seed for seed in next(iter(found.values()), {}) if all(seed in runs for runs in found.values())]
    if not seeds:
        raise InputError(f"the variants of {factor!r} have no seed with examples in common; run them under the same")
    return {variant: runs[seeds[0]] for variant, runs in found.items()}


def _common_examples(factor: str, folders: dict[str, Path]) -> list[tuple[str, Pictures]]:
    names = [[path.name for path in folders_in(folder)] for folder in folders.values()]
    common = [name for name in names[0] if all(name in others for others in names)]
    if not common:
        raise InputError(f"the variants of {factor!r} have no query in common; evaluate them on the same categories")
    return [(name, {variant: _read(folder / name) for variant, folder in folders.items()}) for name in common]


def _read(folder: Path) -> dict[str, np.ndarray]:
    pictures = {}
    for name in ("prompt", "query"):
        with open_image(folder / f"{name}.png") as image:
            pictures[name] = rgb_bytes(image)
    return pictures | {"map": read_map(folder / "map.png")}


def _show(panel: Axes, picture: np.ndarray) -> None:
    panel.imshow(picture, cmap="inferno", vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])

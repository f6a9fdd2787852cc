"""Pictures that the notebooks show; every function returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metauas.files import atomic_path
from metauas.images import to_uint8

#: One colour map for anomaly maps everywhere; dark is normal, bright is anomalous, in print and to the colour-blind.
MAP_COLOURS = "inferno"
_CELL = 1.25  # inches per picture; small, so that committed notebooks stay light
_OUTLINE = "#00e5ff"


class _Pair(Protocol):
    query: Tensor
    prompt: Tensor
    mask: Tensor
    kind: str


class _Example(Protocol):
    title: str
    query: Tensor
    prompt: Tensor
    mask: np.ndarray
    map: np.ndarray


def show_pairs(pairs: Sequence[Any], *, across: int = 2, titles: Sequence[str] | None = None) -> Figure:
    """Show pairs (``ChangePair``): query, prompt, mask and absolute difference, ``across`` pairs beside each other."""
    names = titles or [pair.kind for pair in pairs]
    rows = [_pair_row(pair, name) for pair, name in zip(pairs, names, strict=True)]
    return picture_grid(rows, headings=("query", "prompt", "mask", "|difference|"), across=across)


def _pair_row(pair: _Pair, title: str) -> tuple[str, list[np.ndarray]]:
    difference = (pair.query - pair.prompt).abs().mean(dim=0).numpy()
    pictures = [
        to_uint8(pair.query),
        to_uint8(pair.prompt),
        pair.mask[0].numpy(),
        difference / max(0.3, difference.max()),
    ]
    return title, pictures


def show_examples(examples: Sequence[Any], *, across: int = 2) -> Figure:
    """Show segmented examples: prompt, query with the true outline, and map on a scale common to all."""
    rows = [_example_row(example) for example in examples]
    return picture_grid(rows, headings=("prompt", "query + truth", "anomaly map"), across=across)


def _example_row(example: _Example) -> tuple[str, list[np.ndarray]]:
    outlined = outline(to_uint8(example.query), example.mask)
    return example.title, [to_uint8(example.prompt), outlined, example.map]


def picture_grid(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], *, headings: Sequence[str], across: int = 1
) -> Figure:
    """Lay out titled rows of pictures, ``across`` rows beside each other, under the headings of their columns.

    Images (H, W, 3) are shown as they are, fields (H, W) in [0, 1] by the map colours.
    """
    across = max(1, min(across, len(rows)))
    columns = len(headings)
    lines = -(-len(rows) // across)
    figure, axes = plt.subplots(
        lines,
        across * columns,
        squeeze=False,
        figsize=(across * columns * _CELL, lines * (_CELL + 0.18) + 0.2),
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (title, pictures) in enumerate(rows):
        line, block = divmod(number, across)
        cells = axes[line, block * columns : (block + 1) * columns]
        _fill_row(cells, pictures, headings=headings if line == 0 else None)
        cells[0].text(0, -0.04, title, transform=cells[0].transAxes, fontsize=7, va="top")
    figure.subplots_adjust(
        left=0.01, right=0.99, top=1 - 0.2 / figure.get_figheight(), bottom=0.03, wspace=0.04, hspace=0.16
    )
    return figure


def _fill_row(cells: Sequence[Axes], pictures: Sequence[np.ndarray], *, headings: Sequence[str] | None) -> None:
    for column, (axis, picture) in enumerate(zip(cells, pictures, strict=True)):
        if picture.ndim == 3:
            axis.imshow(picture)
        else:
            axis.imshow(picture, cmap=MAP_COLOURS, vmin=0, vmax=1)
        if headings:
            axis.set_title(headings[column], fontsize=8, pad=3)


def outline(image: UInt8[np.ndarray, "h w 3"], mask: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the outer edge of a mask (H, W) into a copy of the image."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    colour = tuple(int(_OUTLINE[i : i + 2], 16) for i in (1, 3, 5))
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, colour, 1))


def overlay(image: UInt8[np.ndarray, "h w 3"], anomaly_map: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a map in [0, 1] over its image: clear where normal, glowing where anomalous."""
    heat = plt.get_cmap(MAP_COLOURS)(anomaly_map)[..., :3]
    weight = 0.75 * np.clip(anomaly_map, 0, 1)[..., None] ** 0.5
    return to_uint8((1 - weight) * image / 255 + weight * heat)


def show_learning_curves(history: pd.DataFrame) -> Figure:
    """Draw training and validation loss, and the held-out P-AUROC, P-AP and I-AUROC, over the steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    left.plot(history["step"], history["loss"], color="0.75", label="training (10 steps)")
    held_out = history.dropna(subset=["validation loss"])
    left.plot(held_out["step"], held_out["validation loss"], "o-", ms=3, label="held-out pairs")
    left.set(xlabel="step", ylabel="pixel-wise BCE")
    left.legend(frameon=False, fontsize=8)
    for name in ("P-AUROC", "P-AP", "I-AUROC"):
        right.plot(held_out["step"], held_out[name], "o-", ms=3, label=name)
    right.set(xlabel="step", ylabel="on held-out pairs", ylim=(0, 1))
    right.legend(frameon=False, fontsize=8)
    sns.despine(figure)
    return figure


def show_bars(values: Mapping[str, float], *, label: str) -> Figure:
    """Draw one horizontal bar for each name."""
    figure, axis = plt.subplots(figsize=(6, 0.32 * len(values) + 0.7), layout="constrained")
    sns.barplot(x=list(values.values()), y=list(values), ax=axis, color="#4c72b0")
    axis.set(xlabel=label, ylabel="")
    sns.despine(figure)
    return figure


def show_categories(table: pd.DataFrame, *, metric: str) -> Figure:
    """Draw one metric of every method in every category, with the spread over prompts.

    Args:
        table: as ``Evaluation.table`` returns it, rows (method, category), columns (metric, mean or std).
        metric: the metric to draw.
    """
    methods = list(dict.fromkeys(table.index.get_level_values(0)))
    categories = list(dict.fromkeys(table.index.get_level_values(1)))
    figure, axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    width = 0.8 / len(methods)
    for number, (method, colour) in enumerate(zip(methods, sns.color_palette("colorblind"), strict=False)):
        rows = table.loc[method].loc[categories]
        place = np.arange(len(categories)) + (number - (len(methods) - 1) / 2) * width
        axis.bar(place, rows[metric, "mean"], width, yerr=rows[metric, "std"].fillna(0), label=method, color=colour)
    axis.set_xticks(np.arange(len(categories)), categories, rotation=20)
    axis.set(ylabel=metric, ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8, ncols=len(methods), loc="upper center", bbox_to_anchor=(0.5, 1.18))
    sns.despine(figure)
    return figure


def show_attention(
    query: Float[Tensor, "3 h w"],
    prompt: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "n m"],
    *,
    points: Sequence[tuple[float, float]],
) -> Figure:
    """Mark points of the query, and show where in the prompt each of them looks.

    Args:
        query: the query, square.
        prompt: the prompt, square.
        attention: rows of weights over the prompt's positions for each of the query's, on square grids.
        points: (x, y) in the query, as shares of its side.
    """
    side = round(attention.shape[0] ** 0.5)
    figure, axes = plt.subplots(1, len(points) + 1, figsize=((len(points) + 1) * 1.9, 2.1), layout="constrained")
    axes[0].imshow(to_uint8(query))
    axes[0].set_title("query", fontsize=8)
    for number, ((x, y), axis) in enumerate(zip(points, axes[1:], strict=True), start=1):
        axes[0].plot(x * query.shape[2], y * query.shape[1], "o", mfc="none", mec=_OUTLINE, mew=2)
        axes[0].text(x * query.shape[2] + 4, y * query.shape[1], str(number), color=_OUTLINE, fontsize=9)
        weights = attention[int(y * side) * side + int(x * side)].view(side, -1).detach().numpy()
        axis.imshow(to_uint8(prompt), alpha=0.55)
        extent = (0, prompt.shape[2], prompt.shape[1], 0)
        axis.imshow(weights / weights.max(), cmap=MAP_COLOURS, alpha=0.6, extent=extent)
        axis.set_title(f"where point {number} looks", fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, atomically, and return the path; the figure stays open for the notebook to show."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return Path(path)

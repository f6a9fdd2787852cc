"""Pictures that the notebooks show; every function returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

from metauas.errors import InputError
from metauas.files import atomic_path
from metauas.images import to_uint8

#: One colour map for anomaly maps everywhere; dark is normal, bright is anomalous, in print and to the colour-blind.
MAP_COLOURS = "inferno"
_CELL = 1.25  # inches per picture; small, so that committed notebooks stay light
_OUTLINE = "#00e5ff"
_COLOURS = plt.style.library["seaborn-v0_8-colorblind"]["axes.prop_cycle"].by_key()["color"]


@runtime_checkable
class _Pair(Protocol):
    query: Tensor
    prompt: Tensor
    mask: Tensor
    kind: str


@runtime_checkable
class _Example(Protocol):
    title: str
    query: Tensor
    prompt: Tensor
    mask: np.ndarray
    map: np.ndarray


def notebook_style() -> None:
    """Let notebooks store figures as small JPEGs, so that executed notebooks stay light enough to be committed."""
    set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})  # type: ignore[no-untyped-call]
    plt.rcParams["figure.dpi"] = 80


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


def show_pictures(pictures: Sequence[Any], *, across: int = 6) -> Figure:
    """Show pictures (``Picture``) with the outlines of their objects."""
    rows = []
    for picture in pictures:
        image = to_uint8(picture.image)
        for mask in picture.objects:
            image = outline(image, mask)
        rows.append((picture.name, [image]))
    return picture_grid(rows, headings=("",), across=across)


def show_fields(fields: Mapping[str, np.ndarray]) -> Figure:
    """Show named pictures or fields in one row; fields (H, W) share one scale, from 0 to their common maximum."""
    flat = [np.asarray(field) for field in fields.values()]
    highest = max((float(field.max()) for field in flat if field.ndim == 2), default=1.0)
    shown = [field / (highest or 1) if field.ndim == 2 else field for field in flat]
    return picture_grid([(name, [f]) for name, f in zip(fields, shown, strict=True)], headings=("",), across=len(shown))


def show_examples(examples: Sequence[Any], *, across: int = 2) -> Figure:
    """Show segmented examples: prompt, query with the true outline, and map on a scale common to all."""
    rows = [_example_row(example) for example in examples]
    return picture_grid(rows, headings=("prompt", "query + truth", "anomaly map"), across=across)


def show_progress(examples: Sequence[Any], maps: Mapping[int, np.ndarray], *, across: int = 2) -> Figure:
    """Show how the maps of examples change with training: query with the true outline, then a map for each step.

    Args:
        examples: as ``show_examples`` takes them.
        maps: step → maps (N, H, W) of the N examples.
        across: examples beside each other.
    """
    rows = [
        (example.title, [outline(to_uint8(example.query), example.mask), *(of_step[i] for of_step in maps.values())])
        for i, example in enumerate(examples)
    ]
    return picture_grid(rows, headings=("query + truth", *(f"step {step}" for step in maps)), across=across)


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
    lines = max(1, -(-len(rows) // across))  # of nothing an empty figure
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
        cells = list(axes[line, block * columns : (block + 1) * columns])
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


def draw_contours(image: UInt8[np.ndarray, "h w 3"], contours: Sequence[np.ndarray]) -> UInt8[np.ndarray, "h w 3"]:
    """Draw closed polygons (points, 2) into a copy of the image, as strong as its size needs, edged with black."""
    colour = tuple(int(_OUTLINE[i : i + 2], 16) for i in (1, 3, 5))
    strength = max(1, round(max(image.shape[:2]) / 350))
    smooth = cv2.LINE_AA if strength > 1 else cv2.LINE_8  # a smooth thin line leaves single points out
    drawn = image.copy()
    for line, width in (((0, 0, 0), strength + 2), (colour, strength)):
        cv2.polylines(drawn, list(contours), isClosed=True, color=line, thickness=width, lineType=smooth)
    return drawn


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
    _open(figure)
    return figure


def show_areas(described: pd.DataFrame) -> Figure:
    """Draw how much of the query is changed, one dot a pair, for each kind (rows of ``describe_pairs``)."""
    changed = described[described["changed area"] > 0]
    import seaborn as sns  # only now: it takes seconds, and most notebooks draw without it

    figure, axis = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
    sns.stripplot(changed, x="changed area", y="kind", hue="kind", palette="colorblind", size=3, alpha=0.6, ax=axis)
    axis.set(xscale="log", xlabel="changed area, percent of the query (logarithmic)", ylabel="")
    _open(figure)
    return figure


def show_area_histograms(described: pd.DataFrame) -> Figure:
    """Draw how the changed area is distributed, a row for each kind (rows of ``describe_pairs``) that marks any."""
    changed = described[described["changed area"] > 0]
    kinds = [kind for kind in sorted(set(described["kind"])) if (changed["kind"] == kind).any()]
    lowest = changed["changed area"].min() if kinds else 0.1
    bins = np.geomspace(min(lowest, 50), 100, 31)
    rows = max(1, len(kinds))
    figure, axes = plt.subplots(
        rows, 1, squeeze=False, sharex=True, figsize=(6.5, 0.7 + 0.75 * rows), layout="constrained"
    )
    for axis, kind, colour in zip(axes[:, 0], kinds, _COLOURS, strict=False):
        areas = changed.loc[changed["kind"] == kind, "changed area"]
        axis.hist(areas, bins=bins, color=colour)
        axis.axvline(areas.median(), color="0.2", lw=1)
        axis.set_title(f"{kind}: {len(areas)} pairs, median {areas.median():.2g} %", fontsize=8, loc="left", pad=2)
    axes[-1, 0].set(xscale="log", xlabel="changed area, percent of the query (logarithmic)")
    axes[rows // 2, 0].set_ylabel("pairs")
    _open(figure)
    return figure


def show_network(model: Any, *, size: int) -> Figure:
    """Draw a ``MetaUAS`` network from its live modules: encoder stages, alignment and decoder blocks.

    Heights stand for resolution, widths for channels (both on a logarithmic scale).
    """
    figure, axis = plt.subplots(figsize=(8.6, 3.6), layout="constrained")
    strides, channels = model.encoder.strides, model.encoder.channels
    places = np.arange(len(strides)) * 1.15
    for stage, (x, stride, width) in enumerate(zip(places, strides, channels, strict=True)):
        grid = size // stride
        _box(axis, x, 2.3, grid, width, colour="#4c72b0", text=f"{width}\n{grid}²")
        _box(axis, x, 0.5, grid, width, colour="#55a868", text=f"{width}\n{grid}²")
        if stage >= model.first_aligned:
            axis.annotate("", (x, 1.72), (x, 1.08), arrowprops={"arrowstyle": "->", "color": "#c44e52"})
            axis.text(x + 0.06, 1.4, "FAM", fontsize=7, color="#c44e52", va="center")
    _decoder_boxes(axis, model, size=size, start=places[-1] + 1.5)
    axis.text(-0.75, 2.3, "query", ha="right", va="center", fontsize=9)
    axis.text(-0.75, 0.5, "prompt", ha="right", va="center", fontsize=9)
    axis.text(places[2], 3.25, f"encoder ({model.config.encoder}), the same for both", ha="center", fontsize=8)
    axis.set(xlim=(-1.6, places[-1] + 1.6 + 1.15 * (len(model.decoder.steps) + 0.8)), ylim=(-0.3, 3.5))
    axis.set_axis_off()
    return figure


def _decoder_boxes(axis: Axes, model: Any, *, size: int, start: float) -> None:
    for number, (stride, width) in enumerate(model.decoder.steps):
        grid = size // stride
        _box(axis, start + 1.15 * number, 2.3, grid, width, colour="#8172b2", text=f"{width}\n{grid}²")
    end = start + 1.15 * len(model.decoder.steps)
    axis.text((start + end) / 2 - 0.5, 3.25, "decoder; skips from the stages", ha="center", fontsize=8)
    _box(axis, end, 2.3, size, 1, colour="#c44e52", text="")
    axis.text(end + 0.15, 2.3, f"map\n{size}²", fontsize=7, va="center")
    axis.annotate("", (start - 0.6, 2.3), (start - 0.95, 2.3), arrowprops={"arrowstyle": "->"})


def _box(axis: Axes, x: float, y: float, grid: int, channels: int, *, colour: str, text: str) -> None:
    height, width = 0.28 + 0.13 * np.log2(grid), 0.12 + 0.07 * np.log2(channels)
    axis.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, color=colour, alpha=0.85))
    axis.text(x, y, text, ha="center", va="center", fontsize=6.5, color="white")


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
    for number, (method, colour) in enumerate(zip(methods, _COLOURS, strict=False)):
        rows = table.loc[method].loc[categories]
        place = np.arange(len(categories)) + (number - (len(methods) - 1) / 2) * width
        axis.bar(place, rows[metric, "mean"], width, yerr=rows[metric, "std"].fillna(0), label=method, color=colour)
    axis.set_xticks(np.arange(len(categories)), categories, rotation=20)
    axis.set(ylabel=metric, ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8, ncols=len(methods), loc="upper center", bbox_to_anchor=(0.5, 1.18))
    _open(figure)
    return figure


def show_robustness(summary: pd.DataFrame, *, metric: Sequence[str] = ("I-AUROC", "P-AP")) -> Figure:
    """Draw metrics against what is done to the prompt, a panel for each disturbance.

    Bands and bars are one sample deviation over prompt seeds to each side; the vertical line is the prompt as it is.

    Args:
        summary: as ``Robustness.summary`` returns it.
        metric: the metrics to draw.
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
    _open(figure)
    return figure


def _robustness_panel(axis: Axes, rows: pd.DataFrame, *, metrics: Sequence[str]) -> None:
    kind = rows["disturbance"].iloc[0]
    axis.axvline(rows.loc[rows["untouched"], "level"].iloc[0], color="0.85", lw=1, zorder=0)
    for metric, colour in zip(metrics, _COLOURS, strict=False):
        curve = rows[rows["metric"] == metric].sort_values("level")
        level, mean, std = (curve[name].to_numpy(dtype=float) for name in ("level", "mean", "std"))
        if kind == "defective":  # two kinds of prompt, nothing between them
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


def _open(figure: Figure) -> None:
    """Take the frame's upper and right side away."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)


def show_curves(
    curves: Mapping[str, Mapping[str, Any]], *, metrics: Sequence[str] = ("I-AUROC", "P-AUROC", "AUPRO")
) -> Figure:
    """Draw the curves of every category (``MapGatherer.curves``), a panel for each metric that is an area under one."""
    figure, axes = plt.subplots(1, len(metrics), squeeze=False, figsize=(3.4 * len(metrics), 3.2), layout="constrained")
    styles = [(colour, line) for line in ("-", "--", ":", "-.") for colour in _COLOURS]
    for axis, metric in zip(axes[0], metrics, strict=True):
        for (name, of_category), (colour, line) in zip(curves.items(), cycle(styles)):
            if metric in of_category:
                curve = of_category[metric]
                axis.plot(curve.x, curve.y, line, color=colour, lw=1.3, label=name)
        overlaps = metric == "AUPRO"
        chance = 0.3 if overlaps else 1.0
        axis.plot([0, chance], [0, chance], color="0.8", lw=0.8, zorder=0)
        axis.set(title=metric, xlabel="false-positive rate", ylim=(0, 1.02), xlim=(0, chance))
        axis.set_ylabel("mean overlap with the regions" if overlaps else "true-positive rate")
    handles = {text: handle for axis in axes[0] for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    if handles:
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(3 * len(metrics), 5), fontsize=7)
    _open(figure)
    return figure


def show_gallery(cases: Sequence[Any], *, across: int = 1) -> Figure:
    """Show gathered test images (``Case``): prompt, query with truth, map, and query with what was found."""
    rows = [(case.title, [case.prompt, case.truth, case.map, case.found]) for case in cases]
    return picture_grid(rows, headings=("prompt", "query + truth", "anomaly map", "query + found"), across=across)


def show_attention(
    query: Float[Tensor, "3 h w"],
    prompt: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "n m"],
    *,
    points: Sequence[Sequence[float]],
) -> Figure:
    """Mark points of the query, and show where in the prompt each of them looks.

    Args:
        query: the query, square.
        prompt: the prompt, square.
        attention: rows of weights over the prompt's positions for each of the query's, on square grids.
        points: (x, y) in the query, as shares of its side.

    Raises:
        InputError: a point is not in the query.
    """
    for point in points:
        if len(point) != 2 or not all(0 <= share < 1 for share in point):
            raise InputError(f"points has {point}; give places of the query as (x, y), each from 0 to below 1")
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

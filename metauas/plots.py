"""Pictures that the notebooks show; every function returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
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


def show_network(model: Any, *, size: int) -> Figure:
    """Draw a ``MetaUAS`` network from its live modules: encoder stages, alignment and decoder blocks.

    Heights stand for resolution, widths for channels (both on a logarithmic scale).
    """
    figure, axis = plt.subplots(figsize=(8.6, 3.6), layout="constrained")
    strides, channels = model.encoder.strides, model.encoder.channels
    first = len(strides) - len(model.alignments)
    places = np.arange(len(strides)) * 1.15
    for stage, (x, stride, width) in enumerate(zip(places, strides, channels, strict=True)):
        grid = size // stride
        _box(axis, x, 2.3, grid, width, colour="#4c72b0", text=f"{width}\n{grid}²")
        _box(axis, x, 0.5, grid, width, colour="#55a868", text=f"{width}\n{grid}²")
        if stage >= first:
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


def _open(figure: Figure) -> None:
    """Take the frame's upper and right side away."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)


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

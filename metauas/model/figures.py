"""Figures of a network: its stages, and where alignment looks."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from metauas.errors import InputError
from metauas.files.images import to_uint8
from metauas.plots import MAP_COLOURS, OUTLINE


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
        axes[0].plot(x * query.shape[2], y * query.shape[1], "o", mfc="none", mec=OUTLINE, mew=2)
        axes[0].text(x * query.shape[2] + 4, y * query.shape[1], str(number), color=OUTLINE, fontsize=9)
        weights = attention[int(y * side) * side + int(x * side)].view(side, -1).detach().numpy()
        axis.imshow(to_uint8(prompt), alpha=0.55)
        extent = (0, prompt.shape[2], prompt.shape[1], 0)
        axis.imshow(weights / weights.max(), cmap=MAP_COLOURS, alpha=0.6, extent=extent)
        axis.set_title(f"where point {number} looks", fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    return figure

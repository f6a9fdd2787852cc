"""What all figures share: style, colours, grids of pictures, outlines and overlays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

from metauas.files import atomic_path
from metauas.files.images import to_uint8

#: One colour map for anomaly maps everywhere; dark is normal, bright is anomalous, in print and to the colour-blind.
MAP_COLOURS = "inferno"
_CELL = 1.25  # inches per picture; small, so that committed notebooks stay light
OUTLINE = "#00e5ff"
COLOURS = plt.style.library["seaborn-v0_8-colorblind"]["axes.prop_cycle"].by_key()["color"]


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
    colour = tuple(int(OUTLINE[i : i + 2], 16) for i in (1, 3, 5))
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, colour, 1))


def draw_contours(image: UInt8[np.ndarray, "h w 3"], contours: Sequence[np.ndarray]) -> UInt8[np.ndarray, "h w 3"]:
    """Draw closed polygons (points, 2) into a copy of the image, as strong as its size needs, edged with black."""
    colour = tuple(int(OUTLINE[i : i + 2], 16) for i in (1, 3, 5))
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


def open_axes(figure: Figure) -> None:
    """Take the frame's upper and right side away."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, atomically, and return the path; the figure stays open for the notebook to show."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return Path(path)

"""Style, colours, grids of pictures, outlines and overlays of all figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure

from metauas.files import atomic_path
from metauas.files.images import to_uint8

#: Colour map of all anomaly maps: dark is normal, bright is anomalous, also in print and for the colour-blind.
MAP_COLOURS = "inferno"
_CELL = 1.25  # inches per picture; keeps committed notebooks small
OUTLINE = "#00e5ff"
_OUTLINE_RGB = tuple(bytes.fromhex(OUTLINE[1:]))
COLOURS = plt.style.library["seaborn-v0_8-colorblind"]["axes.prop_cycle"].by_key()["color"]


def notebook_style() -> None:
    """Store figures of notebooks as small JPEGs, so that executed notebooks stay small enough to be committed."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats  # comes with ipykernel

    set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})  # type: ignore[no-untyped-call]
    plt.rcParams["figure.dpi"] = 80


def show_fields(fields: Mapping[str, np.ndarray]) -> Figure:
    """Show named pictures or fields in one row; fields (H, W) share one scale, from 0 to their common maximum."""
    flat = [np.asarray(field) for field in fields.values()]
    highest = max((float(field.max()) for field in flat if field.ndim == 2), default=1.0)
    shown = [field / (highest or 1) if field.ndim == 2 else field for field in flat]
    return picture_grid([(name, [f]) for name, f in zip(fields, shown, strict=True)], headings=("",), across=len(shown))


def show_examples(examples: Sequence[Any], *, across: int = 2) -> Figure:
    """Show segmented examples (``Example``): prompt, query with the true outline, and map, on one scale."""
    rows = [(e.title, [to_uint8(e.prompt), outline(to_uint8(e.query), e.mask), e.map]) for e in examples]
    return picture_grid(rows, headings=("prompt", "query + truth", "anomaly map"), across=across)


def picture_grid(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], *, headings: Sequence[str], across: int = 1
) -> Figure:
    """Return a grid of titled rows of pictures, ``across`` rows next to each other, with headings of the columns.

    Images are (H, W, 3); fields (H, W) in [0, 1] are shown in the map colours.
    """
    across = max(1, min(across, len(rows)))
    columns = len(headings)
    lines = max(1, -(-len(rows) // across))  # an empty figure without rows
    size = (across * columns * _CELL, lines * (_CELL + 0.18) + 0.2)
    figure, axes = plt.subplots(lines, across * columns, squeeze=False, figsize=size)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (title, pictures) in enumerate(rows):
        line, block = divmod(number, across)
        cells = list(axes[line, block * columns : (block + 1) * columns])
        for axis, picture, heading in zip(cells, pictures, headings, strict=True):
            axis.imshow(picture, cmap=MAP_COLOURS, vmin=0, vmax=1)  # which images (H, W, 3) ignore
            if line == 0:
                axis.set_title(heading, fontsize=8, pad=3)
        cells[0].text(0, -0.04, title, transform=cells[0].transAxes, fontsize=7, va="top")
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.2 / size[1], bottom=0.03, wspace=0.04, hspace=0.16)
    return figure


def outline(image: UInt8[np.ndarray, "h w 3"], mask: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the outer edge of a mask (H, W) into a copy of the image."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, _OUTLINE_RGB, 1))


def draw_contours(image: UInt8[np.ndarray, "h w 3"], contours: Sequence[np.ndarray]) -> UInt8[np.ndarray, "h w 3"]:
    """Draw closed polygons (points, 2) with a black edge into a copy of the image; their width follows its size."""
    strength = max(1, round(max(image.shape[:2]) / 350))
    smooth = cv2.LINE_AA if strength > 1 else cv2.LINE_8  # an antialiased thin line omits single points
    drawn = image.copy()
    for line, width in (((0, 0, 0), strength + 2), (_OUTLINE_RGB, strength)):
        cv2.polylines(drawn, list(contours), isClosed=True, color=line, thickness=width, lineType=smooth)
    return drawn


def overlay(image: UInt8[np.ndarray, "h w 3"], anomaly_map: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Blend a map in [0, 1] with its image: transparent where normal, opaque where anomalous."""
    heat = plt.get_cmap(MAP_COLOURS)(anomaly_map)[..., :3]
    weight = 0.75 * np.clip(anomaly_map, 0, 1)[..., None] ** 0.5
    return to_uint8((1 - weight) * image / 255 + weight * heat)


def open_axes(figure: Figure) -> None:
    """Remove the upper and right side of the frame."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, atomically, and return the path; the figure stays open for the notebook to show."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return Path(path)

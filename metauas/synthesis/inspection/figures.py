"""Figures of pairs and of pictures."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from metauas.files.images import to_uint8
from metauas.plots import COLOURS, open_axes, outline, picture_grid
from metauas.synthesis.pairs import ChangePair
from metauas.synthesis.pictures.picture import Picture


def show_pairs(pairs: Sequence[ChangePair], *, across: int = 2, titles: Sequence[str] | None = None) -> Figure:
    """Show query, prompt, mask and absolute difference of pairs, ``across`` pairs in a row."""
    names = titles or [pair.kind for pair in pairs]
    rows = [_pair_row(pair, name) for pair, name in zip(pairs, names, strict=True)]
    return picture_grid(rows, headings=("query", "prompt", "mask", "|difference|"), across=across)


def _pair_row(pair: ChangePair, title: str) -> tuple[str, list[np.ndarray]]:
    difference = (pair.query - pair.prompt).abs().mean(dim=0).numpy()
    scaled = difference / max(0.3, difference.max())
    return title, [to_uint8(pair.query), to_uint8(pair.prompt), pair.mask[0].numpy(), scaled]


def show_pictures(pictures: Sequence[Picture], *, across: int = 6) -> Figure:
    """Show pictures with the outlines of their objects."""
    rows = []
    for picture in pictures:
        image = to_uint8(picture.image)
        for mask in picture.objects:
            image = outline(image, mask)
        rows.append((picture.name, [image]))
    return picture_grid(rows, headings=("",), across=across)


def show_areas(described: pd.DataFrame) -> Figure:
    """Draw a histogram of the changed area for each kind that marks any; ``described`` is of ``describe_pairs``."""
    changed = described[described["changed area"] > 0]
    kinds = sorted(set(changed["kind"]))
    lowest = changed["changed area"].min() if kinds else 0.1
    bins = np.geomspace(min(lowest, 50), 100, 31)
    rows = max(1, len(kinds))
    figure, axes = plt.subplots(
        rows, 1, squeeze=False, sharex=True, figsize=(6.5, 0.7 + 0.75 * rows), layout="constrained"
    )
    for axis, kind, colour in zip(axes[:, 0], kinds, COLOURS, strict=False):
        areas = changed.loc[changed["kind"] == kind, "changed area"]
        axis.hist(areas, bins=bins, color=colour)
        axis.axvline(areas.median(), color="0.2", lw=1)
        axis.set_title(f"{kind}: {len(areas)} pairs, median {areas.median():.2g} %", fontsize=8, loc="left", pad=2)
    axes[-1, 0].set(xscale="log", xlabel="changed area, percent of the query (logarithmic)")
    axes[rows // 2, 0].set_ylabel("pairs")
    open_axes(figure)
    return figure

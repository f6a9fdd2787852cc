"""Figures of a training: learning curves, and the maps of every validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from metauas.files.images import to_uint8
from metauas.plots import open_axes, outline, picture_grid


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
    open_axes(figure)
    return figure


def show_progress(examples: Sequence[Any], maps: Mapping[int, np.ndarray], *, across: int = 2) -> Figure:
    """Draw each query with the true outline, then its map at each step.

    Args:
        examples: N examples, such as those of ``held_out_examples``.
        maps: step → maps (N, H, W) of the examples.
        across: examples in a row.
    """
    rows = [
        (example.title, [outline(to_uint8(example.query), example.mask), *(of_step[i] for of_step in maps.values())])
        for i, example in enumerate(examples)
    ]
    return picture_grid(rows, headings=("query + truth", *(f"step {step}" for step in maps)), across=across)

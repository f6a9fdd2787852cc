"""Figures of an ablation."""

import numpy as np
import pandas as pd
import pytest

from metauas.ablations.plots import plot_factor
from metauas.errors import InputError

VALUES = {"none": (0.70, 0.74), "hard": (0.80, 0.82), "soft": (0.90, 0.86)}


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "factor": "alignment",
            "variant": variant,
            "seed": seed,
            "category": category,
            "metric": metric,
            "value": v,
        }
        for variant, values in VALUES.items()
        for seed, v in enumerate(values)
        for category in ("bottle", "mean")
        for metric in ("I-AUROC", "P-AP")
    )


def test_every_seed_and_every_mean_is_drawn_in_percent(frame):
    figure = plot_factor(frame, metrics=("P-AP", "I-AUROC"))
    assert [panel.get_title() for panel in figure.axes] == ["P-AP", "I-AUROC"]
    for panel in figure.axes:
        assert [label.get_text() for label in panel.get_xticklabels()] == list(VALUES)
        points = np.concatenate(
            [np.asarray(c.get_offsets()) for c in panel.collections if len(c.get_offsets()) > 0]
        )
        expected = [100 * v for values in VALUES.values() for v in values]
        assert sorted(points[:, 1].tolist()) == pytest.approx(sorted(expected))
        heights = {round(float(y), 6) for line in panel.lines for y in np.atleast_1d(line.get_ydata())}
        assert {72.0, 81.0, 88.0} <= heights


def test_the_figure_is_small(frame):
    figure = plot_factor(frame, metrics=("I-AUROC", "P-AP"))
    width, height = figure.get_size_inches() * figure.dpi
    assert width <= 600
    assert height <= 300


def test_a_metric_that_is_not_there_is_named(frame):
    with pytest.raises(InputError, match="metric='AUPRO' is not known"):
        plot_factor(frame)

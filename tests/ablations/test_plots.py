"""Figures of an ablation."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from metauas.ablations.results.plots import natural, plot_conditions, plot_factor
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
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(VALUES)
    for panel in figure.axes:
        dots = [np.asarray(c.get_offsets()) for c in panel.collections if isinstance(c, PathCollection)]
        points = np.concatenate(dots)
        expected = [100 * v for values in VALUES.values() for v in values]
        assert sorted(points[:, 0].tolist()) == pytest.approx(sorted(expected))
        means = [float(bar.lines[0].get_xdata()[0]) for bar in panel.containers]
        assert means == pytest.approx([72, 81, 88])


def test_the_figure_is_small(frame):
    figure = plot_factor(frame, metrics=("I-AUROC", "P-AP"))
    width, height = figure.get_size_inches() * figure.dpi
    assert width <= 600
    assert height <= 300


def test_one_seed_and_undefined_values_are_no_obstacle(frame):
    single = frame[frame["seed"] == 0].copy()
    single.loc[single["metric"] == "P-AP", "value"] = np.nan
    plot_factor(single, metrics=("I-AUROC", "P-AP")).canvas.draw()


def test_the_main_condition_is_the_first(frame):
    frame = pd.concat([frame.assign(condition=name) for name in ("natural", "turned")])
    assert set(natural(frame, "alignment")["condition"]) == {"natural"}
    figure = plot_conditions(frame, metric="P-AP")
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["natural", "turned"]


def test_a_metric_that_is_not_there_is_named(frame):
    with pytest.raises(InputError, match="metric='AUPRO' is not known"):
        plot_factor(frame)

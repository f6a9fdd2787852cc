from dataclasses import dataclass
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from metauas import plots
from metauas.errors import InputError
from metauas.eval import Curve
from metauas.eval.report.figures import show_categories, show_curves, show_gallery
from metauas.files.images import read_image
from metauas.model import create_model
from metauas.model.figures import show_attention, show_network
from metauas.seeding import rng_for
from metauas.synthesis import DrawnScenes, PairSynthesizer
from metauas.synthesis.inspection.figures import show_pairs, show_pictures
from metauas.train.figures import show_learning_curves, show_progress


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def shown(figure):
    """The arrays that a figure shows, in order; drawing it finds what only fails then."""
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    return [np.asarray(image.get_array()) for axis in figure.axes for image in axis.images]


def pairs(count):
    synthesizer = PairSynthesizer(DrawnScenes(), size=32)
    return [synthesizer(rng_for("plots", index)) for index in range(count)]


def test_a_grid_shows_images_as_they_are_and_fields_by_colours():
    image, field = rng_for(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), np.linspace(0, 1, 64).reshape(8, 8)
    figure = plots.picture_grid([("first", [image, field]), ("second", [image, field])], headings=("a", "b"))
    arrays = shown(figure)
    assert len(arrays) == 4
    assert (arrays[0] == image).all()
    assert (arrays[1] == field).all()
    assert figure.axes[1].images[0].get_clim() == (0, 1)
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "", ""]
    assert [text.get_text() for axis in figure.axes for text in axis.texts] == ["first", "second"]


@pytest.mark.parametrize(("count", "across", "cells"), [(1, 3, 2), (5, 2, 12), (6, 3, 12)])
def test_a_grid_lays_rows_beside_each_other(count, across, cells):
    rows = [(str(number), [np.zeros((4, 4)), np.ones((4, 4))]) for number in range(count)]
    figure = plots.picture_grid(rows, headings=("a", "b"), across=across)
    assert len(figure.axes) == cells
    assert len(shown(figure)) == 2 * count


def test_pairs_are_shown_with_mask_and_difference():
    two = pairs(2)
    figure = show_pairs(two)
    arrays = shown(figure)
    assert len(arrays) == 8
    assert (arrays[2] == two[0].mask[0].numpy()).all()
    assert all(0 <= array.min() <= array.max() <= 1 for array in arrays[3::4])
    assert two[1].kind in [text.get_text() for axis in figure.axes for text in axis.texts]
    with pytest.raises(ValueError, match="zip"):
        show_pairs(two, titles=["only one"])


@dataclass
class Example:
    title: str
    query: torch.Tensor
    prompt: torch.Tensor
    mask: np.ndarray
    map: np.ndarray


def test_examples_are_shown_with_outline_and_map():
    mask = np.zeros((16, 16), bool)
    mask[4:9, 4:9] = True
    example = Example("broken", torch.zeros(3, 16, 16), torch.ones(3, 16, 16), mask, mask * 0.5)
    prompt, query, anomaly_map = shown(plots.show_examples([example]))
    assert (prompt == 255).all()
    assert query[4, 4].tolist() == [0, 229, 255]
    assert (query[0] == 0).all()
    assert (anomaly_map == example.map).all()


def test_progress_is_shown_step_by_step():
    mask = np.zeros((16, 16), bool)
    mask[4:9, 4:9] = True
    examples = [Example(name, torch.zeros(3, 16, 16), torch.ones(3, 16, 16), mask, mask * 0.5) for name in "ab"]
    maps = {step: np.stack([mask * share, mask * share / 2]) for step, share in ((10, 0.2), (20, 0.8))}
    figure = show_progress(examples, maps, across=1)
    arrays = shown(figure)
    assert len(arrays) == 6
    assert (arrays[0] == arrays[3]).all()
    assert [array.max() for array in (*arrays[1:3], *arrays[4:])] == [0.2, 0.8, 0.1, 0.4]
    titles = [axis.get_title() for axis in figure.axes]
    assert [title for title in titles if title] == ["query + truth", "step 10", "step 20"]


def test_an_outline_marks_the_border_of_a_copy():
    image, mask = np.zeros((12, 12, 3), np.uint8), np.zeros((12, 12), bool)
    mask[3:8, 3:8] = True
    outlined = plots.outline(image, mask)
    assert not image.any()
    changed = outlined.any(axis=2)
    inside = mask.copy()
    inside[4:7, 4:7] = False
    assert (changed == inside).all()
    assert not plots.outline(image, np.zeros_like(mask)).any()


def test_an_overlay_keeps_what_is_normal_and_lights_up_what_is_not():
    image = np.full((4, 4, 3), 60, np.uint8)
    anomaly_map = np.zeros((4, 4))
    anomaly_map[0, 0] = 1.0
    laid = plots.overlay(image, anomaly_map)
    assert (laid[1:] == 60).all()
    assert laid[0, 0].sum() > 400


def test_pictures_are_shown_with_their_objects():
    pictures = [DrawnScenes().draw(rng_for("pictures", index), size=32) for index in range(3)]
    arrays = shown(show_pictures(pictures))
    assert len(arrays) == 3
    assert any((array == (0, 229, 255)).all(axis=2).any() for array in arrays)


def test_fields_share_one_scale():
    arrays = shown(plots.show_fields({"low": np.full((4, 4), 1.0), "high": np.full((4, 4), 4.0)}))
    assert [array.max() for array in arrays] == [0.25, 1.0]
    assert shown(plots.show_fields({"nothing": np.zeros((4, 4))}))[0].max() == 0


def history():
    steps = np.arange(10, 60, 10)
    held_out = np.where(steps % 20 == 0, 0.5, np.nan)
    columns = {"step": steps, "loss": 1 / steps, "validation loss": held_out}
    return pd.DataFrame(columns | dict.fromkeys(["P-AUROC", "P-AP", "I-AUROC"], held_out))


def test_learning_curves_show_training_and_held_out_pairs():
    figure = show_learning_curves(history())
    shown(figure)
    left, right = figure.axes
    assert len(left.lines[0].get_xdata()) == 5
    assert len(left.lines[1].get_xdata()) == 2, "only where it was measured"
    assert {line.get_label() for line in right.lines} == {"P-AUROC", "P-AP", "I-AUROC"}


def test_categories_show_a_bar_for_every_method_and_category():
    rows = pd.MultiIndex.from_product([["ours", "baseline"], ["screw", "cloth", "tile"]])
    columns = pd.MultiIndex.from_product([["P-AP"], ["mean", "std"]])
    values = np.column_stack([np.linspace(0.2, 0.7, 6), [0.1, np.nan, 0.1, 0.1, 0.1, 0.1]])
    figure = show_categories(pd.DataFrame(values, index=rows, columns=columns), metric="P-AP")
    shown(figure)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, values[:, 0])


def test_attention_is_shown_for_each_point():
    attention = torch.zeros(16, 16)
    attention[:, 5] = 1.0
    query, prompt = torch.zeros(3, 32, 32), torch.ones(3, 32, 32)
    arrays = shown(show_attention(query, prompt, attention, points=[(0.1, 0.1), (0.9, 0.9)]))
    assert len(arrays) == 1 + 2 * 2
    assert np.argmax(arrays[2]) == 5
    with pytest.raises(InputError, match=r"points has \(0.1, 1.0\); give places of the query"):
        show_attention(query, prompt, attention, points=[(0.1, 1.0)])


def test_a_figure_is_written_and_stays_open(tmp_path):
    figure = plots.picture_grid([("", [np.zeros((4, 4))])], headings=("",))
    path = plots.save_figure(figure, tmp_path / "figures" / "a.png")
    assert read_image(path).shape[2] == 3
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]
    assert plt.fignum_exists(figure.number)


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_the_network_is_drawn_from_its_live_modules(decoder):
    model = create_model("lite", decoder=decoder)
    figure = show_network(model, size=96)
    shown(figure)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written.count("FAM") == len(model.alignments)
    assert {f"{width}\n{96 // stride}²" for stride, width in model.decoder.steps} <= set(written)
    assert len(figure.axes[0].patches) >= 2 * len(model.encoder.strides) + len(model.decoder.steps)


def test_curves_have_a_panel_for_each_metric_and_a_line_for_each_category():
    line = Curve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 1.0]))
    figure = show_curves({"bottle": {"I-AUROC": line, "P-AUROC": line}, "brick": {"I-AUROC": line}})
    assert not shown(figure)
    assert [axis.get_title() for axis in figure.axes] == ["I-AUROC", "P-AUROC", "AUPRO"]
    named = [[drawn.get_label() for drawn in axis.lines if drawn.get_label()[0] != "_"] for axis in figure.axes]
    assert named == [["bottle", "brick"], ["bottle"], []]
    assert show_curves({"bottle": {}}, metrics=["AUPRO"]).axes[0].get_xlim() == (0, 0.3)


def test_the_gallery_shows_four_pictures_a_case():
    image, heat = np.full((8, 8, 3), 200, dtype=np.uint8), np.full((8, 8), 0.5, dtype=np.float32)
    case = SimpleNamespace(title="bottle: crack", prompt=image, truth=image, map=heat, found=image)
    assert [picture.ndim for picture in shown(show_gallery([case, case]))] == [3, 3, 2, 3] * 2


def test_of_nothing_an_empty_figure_is_drawn():
    """As of a benchmark without a defective image, so that a notebook goes on."""
    assert shown(plots.show_examples([])) == shown(show_gallery([])) == []

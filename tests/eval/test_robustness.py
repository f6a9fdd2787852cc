from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from metauas import plots
from metauas.errors import InputError
from metauas.eval import DISTURBANCES, METRICS, EvalSettings, compute_metrics, evaluate, measure_robustness
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.benchmarks.sources import open_benchmark
from metauas.eval.miniature import Counts, write_miniature
from metauas.eval.prompts.conditions import Condition, blurred, brightened, scaled, shifted, turned
from metauas.eval.prompts.selection import draw_defective, random_prompts
from metauas.eval.report.figures import show_robustness
from metauas.eval.results import write_results
from metauas.eval.robustness import DEFECTIVE, check_disturbances
from metauas.files import read_json
from metauas.files.images import stack_images
from metauas.seeding import rng_for

SETTINGS = EvalSettings(size=64, seeds=(1, 3))
LEVELS = {"rotation": [30.0], "scale": [0.8], DEFECTIVE: [1.0]}
CHANGES = {name: one for name, one in DISTURBANCES.items() if one.change}


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    counts = Counts(train=2, good=2, defect=1)
    root = write_miniature(tmp_path_factory.mktemp("robust") / "miniature", seed=0, size=64, counts=counts)
    return open_benchmark(root, categories=["bottle", "brick"])


@pytest.fixture(scope="module")
def found(model, benchmark):
    return measure_robustness(model, benchmark, SETTINGS, disturbances=LEVELS)


def noise(*, size=32):
    return torch.from_numpy(rng_for(0, "robustness").random((2, 3, size, size), dtype=np.float32))


def dot(*, row=16, column=16):
    """A white pixel on grey, 33 × 33, twice."""
    image = torch.full((2, 3, 33, 33), 0.25)
    image[:, :, row, column] = 1
    return image


@pytest.mark.parametrize("name", CHANGES)
def test_only_the_untouched_level_leaves_prompts_as_they_are(name):
    one, images = CHANGES[name], noise(size=256)  # at 32 pixels the least blur and shift are below one pixel
    for level in one.levels:
        changed = one.change(images, level)
        assert changed.shape == images.shape
        assert changed.dtype == images.dtype
        assert 0 <= changed.min() <= changed.max() <= 1
        assert torch.equal(changed, images) == (level == one.untouched)


@pytest.mark.parametrize("name", CHANGES)
def test_default_levels_ascend_within_bounds_and_hold_the_untouched_one(name):
    one = CHANGES[name]
    assert list(one.levels) == check_disturbances([name])[name]


@pytest.mark.parametrize(("share", "column"), [(0.1, 19), (-0.2, 9)])
def test_a_shift_moves_whole_pixels_to_the_right(share, column):
    assert torch.equal(shifted(dot(), share=share), dot(column=column))


def test_empty_rims_take_each_pictures_own_border_colour():
    images = noise()
    edges = (images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1])
    border = torch.cat(edges, dim=-1).mean(dim=-1)
    for changed in (shifted(images, share=0.1), scaled(images, factor=0.8), turned(images, degrees=45.0)):
        torch.testing.assert_close(changed[:, :, 0, 0], border, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("factor", "row"), [(2.0, 28), (0.5, 19)])
def test_scaling_moves_what_is_there_away_from_the_centre_by_the_factor(factor, row):
    place = (scaled(dot(row=22), factor=factor)[0, 0] - 0.25).abs()
    assert divmod(int(place.argmax()), 33) == (row, 16)


def test_a_blur_spreads_a_point_by_sigma():
    spread = (blurred(dot(), sigma=2.0)[1, 2] - 0.25).double() / 0.75
    offsets = torch.arange(33) - 16.0
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)  # the 33 pixels cut nothing that float32 holds
    assert float((spread.sum(dim=0) * offsets**2).sum()) == pytest.approx(4, rel=0.01)  # the kernel ends at 4 sigma


def test_blur_is_the_same_share_of_the_picture_at_every_size():
    blur = DISTURBANCES["blur"].change
    assert torch.equal(blur(noise(size=64), 4.0), blurred(noise(size=64), sigma=1.0))


def test_brightness_is_added_and_clipped():
    torch.testing.assert_close(brightened(dot(), added=0.3), (dot() + 0.3).clamp(max=1))
    assert brightened(dot(), added=-0.3).min() == 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["rotaton"], "disturbance='rotaton' is not known, did you mean 'rotation'"),
        ([], "no disturbance to measure; give some of rotation, shift"),
        ({"scale": [0.0]}, r"scale=0.0: give levels from 0.1 to 10 \(factor\)"),
        ({"blur": [float("nan")]}, "blur=nan"),
        ({DEFECTIVE: [0.5]}, "defective=0.5: a prompt is normal .0. or defective"),
    ],
)
def test_wrong_names_and_levels_are_named(model, benchmark, wanted, message):
    with pytest.raises(InputError, match=message):
        measure_robustness(model, benchmark, SETTINGS, disturbances=wanted)


def test_one_defective_image_is_not_enough(model, benchmark):
    bottle = benchmark.categories[0]
    test = [sample for sample in bottle.test if not sample.label]
    test.append(next(sample for sample in bottle.test if sample.label))
    poor = replace(benchmark, categories=[replace(bottle, test=test)])
    with pytest.raises(InputError, match="'bottle' has 1 defective test images"):
        measure_robustness(model, poor, SETTINGS, disturbances=[DEFECTIVE])


def test_the_table_holds_every_number_once(found):
    names = ["disturbance", "level", "metric", "category", "seed"]
    assert list(found.values.columns) == [*names, "value"]
    assert not found.values.duplicated(names).any()
    assert len(found.values) == len(LEVELS) * 2 * len(METRICS) * 2 * 2  # levels, categories, seeds
    assert found.values["value"].between(0, 1).all()
    assert found.values.groupby("disturbance")["level"].unique().map(sorted).to_dict() == {
        "rotation": [0, 30],
        "scale": [0.8, 1],
        DEFECTIVE: [0, 1],
    }


def test_the_numbers_are_those_of_the_evaluation(found, model, benchmark):
    conditions = [
        Condition("as it is", lambda images, _: images),
        Condition("turned", lambda images, _: turned(images, degrees=30.0)),
    ]
    expected = evaluate(model, benchmark, SETTINGS, baselines=False, conditions=conditions)
    rows = found.summary().set_index(["disturbance", "level", "metric"])
    for place, condition in {("rotation", 0.0): 0, ("scale", 1.0): 0, ("rotation", 30.0): 1}.items():
        mean = expected.metrics()["conditions"][conditions[condition].name]["mean"]
        for metric in METRICS:
            cell = rows.loc[(*place, metric)]
            assert (cell["mean"], cell["std"]) == pytest.approx((mean[metric]["mean"], mean[metric]["std"]), abs=1e-12)


def defective_by_hand(model, category, *, seed, level):
    """The metrics of all queries but the drawn one, which is never put before the network."""
    drawn = draw_defective(category, seed=seed)
    rest = Queries(replace(category, test=[s for i, s in enumerate(category.test) if i != drawn]), size=64)
    paths = [category.test[drawn].path] if level else random_prompts(category, seed=seed)
    maps = model.segment(rest.images(range(len(rest))), stack_images(paths, size=64))[:, 0].numpy()
    return compute_metrics(maps, rest.masks, rest.labels)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_defective_prompt_is_not_compared_with_itself(found, model, benchmark, level):
    values = found.values.set_index(["disturbance", "level", "category", "seed", "metric"])["value"]
    for category in benchmark.categories:
        for seed in SETTINGS.seeds:
            assert category.test[draw_defective(category, seed=seed)].label
            expected = defective_by_hand(model, category, seed=seed, level=level)
            for metric in METRICS:
                value = values[DEFECTIVE, level, category.name, seed, metric]
                assert value == pytest.approx(expected[metric], abs=1e-6)  # other batches round otherwise


def test_other_seeds_draw_other_defects(benchmark):
    category = benchmark.categories[0]
    assert len({draw_defective(category, seed=seed) for seed in range(20)}) == 3


def test_of_several_shots_one_is_defective(model, benchmark):
    shots = SETTINGS.model_copy(update={"shots": 2, "seeds": (1,)})
    values = measure_robustness(model, benchmark, shots, disturbances=[DEFECTIVE]).values
    category = benchmark.categories[1]
    drawn = draw_defective(category, seed=1)
    queries = Queries(category, size=64)
    prompt = (category.test[drawn].path, *random_prompts(category, seed=1, shots=2)[1:])
    encoded = model.encode_prompt(stack_images(prompt, size=64)[None])
    maps = model.segment(queries.images(range(len(queries))), encoded)[:, 0].numpy()
    rest = np.arange(len(queries)) != drawn
    expected = compute_metrics(maps[rest], queries.masks[rest], queries.labels[rest])
    rows = values[(values["category"] == category.name) & (values["level"] == 1)].set_index("metric")
    assert rows["value"].to_dict() == pytest.approx(expected, abs=1e-6)


def test_numbers_are_written_for_machines(found, tmp_path):
    json, csv = write_results(tmp_path / "out", metrics=found.metrics(), values=found.values)
    block = read_json(json)["disturbances"]["scale"]
    assert (block["unit"], block["untouched"], block["levels"]) == ("factor", 1, [0.8, 1])
    rows = found.summary().query("disturbance == 'scale' and metric == 'P-AP'")
    assert block["metrics"]["P-AP"] == {part: pytest.approx(rows[part].tolist()) for part in ("mean", "std")}
    pd.testing.assert_frame_equal(pd.read_csv(csv), found.values, check_dtype=False)


def test_a_panel_is_drawn_for_each_disturbance(found):
    figure = show_robustness(found.summary(), metric=("P-AP", "AUPRO", "I-AP"))
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == ["rotation", "scale", "defective prompt"]
    curve = next(line for line in figure.axes[1].lines if line.get_label() == "AUPRO")
    rows = found.summary().query("disturbance == 'scale' and metric == 'AUPRO'")
    np.testing.assert_array_equal(curve.get_xydata(), rows[["level", "mean"]])
    plots.plt.close(figure)


def test_without_deviations_curves_are_drawn_alone(model, benchmark):
    one = SETTINGS.model_copy(update={"seeds": (1,)})
    summary = measure_robustness(model, benchmark, one, disturbances={"blur": [2.0]}).summary()
    assert summary["std"].isna().all()
    figure = show_robustness(summary)
    figure.canvas.draw()
    assert len(figure.axes) == 1
    plots.plt.close(figure)

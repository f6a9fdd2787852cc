import json
import statistics

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval import BASELINES, METRICS, OURS, EvalSettings, compute_metrics, evaluate
from metauas.eval.prompts import random_prompts
from metauas.eval.segmentation import load_category, load_prompts
from metauas.files import write_json
from metauas.model import create_model

SEEDS = (1, 3, 5)


def run(model, benchmark, *, baselines=True, **changes):
    settings = EvalSettings(**{"size": 32, "seeds": SEEDS, **changes})
    return evaluate(model, benchmark, settings, baselines=baselines)


@pytest.fixture(scope="module")
def result(model, tiny_benchmark):
    return run(model, tiny_benchmark)


def values_of(result, **place):
    rows = result.values
    for column, value in place.items():
        rows = rows[rows[column] == value]
    return rows["value"].tolist()


def test_the_table_holds_every_number_once(result, tiny_benchmark):
    names = ["method", "condition", "category", "seed", "metric"]
    assert list(result.values.columns) == [*names, "value"]
    assert not result.values.duplicated(names).any()
    assert len(result.values) == 3 * len(tiny_benchmark.categories) * len(SEEDS) * len(METRICS)
    assert result.values["value"].between(0, 1).all()


@pytest.mark.parametrize("method", [OURS, *BASELINES])
def test_the_numbers_are_those_of_prompt_and_maps(result, model, tiny_benchmark, method):
    segment = {OURS: model.segment, **BASELINES}[method]
    for category in tiny_benchmark.categories:
        test = load_category(category, size=32)
        for seed in SEEDS:
            prompt = load_prompts([random_prompts(category, seed=seed)], size=32)
            maps = segment(test.images, prompt)[:, 0].numpy()
            expected = compute_metrics(maps, test.masks, test.labels)
            for metric in METRICS:
                found = values_of(result, method=method, category=category.name, seed=seed, metric=metric)
                assert found == pytest.approx([expected[metric]], abs=1e-6)


def check_block(block, result, method, categories):
    assert block.keys() == {"categories", "mean"}
    assert list(block["categories"]) == categories
    for name, metrics in block["categories"].items():
        assert list(metrics) == list(METRICS)
        for metric, cell in metrics.items():
            seeds = values_of(result, method=method, category=name, metric=metric)
            expected = {"mean": statistics.mean(seeds), "std": statistics.stdev(seeds)}  # n - 1
            assert cell == pytest.approx(expected, abs=1e-12)


def test_metrics_have_the_documented_structure(result, tiny_benchmark):
    categories = [category.name for category in tiny_benchmark.categories]
    metrics = result.metrics()
    assert metrics.keys() == {"categories", "mean", "methods", "right_class", "settings"}
    assert list(metrics["methods"]) == [OURS, *BASELINES]
    for method, block in metrics["methods"].items():
        check_block(block, result, method, categories)
    assert {key: metrics[key] for key in ("categories", "mean")} == metrics["methods"][OURS]
    assert metrics["right_class"] == 1
    assert metrics["settings"] == result.settings.model_dump()


def test_the_mean_is_taken_over_categories_for_each_seed_first(result):
    for method in (OURS, *BASELINES):
        for metric in METRICS:
            means = [statistics.mean(values_of(result, method=method, metric=metric, seed=seed)) for seed in SEEDS]
            expected = {"mean": statistics.mean(means), "std": statistics.stdev(means)}
            assert result.metrics()["methods"][method]["mean"][metric] == pytest.approx(expected, abs=1e-12)


def test_some_prompts_differ(result):
    """Otherwise the deviations above would all be 0 and say nothing."""
    assert result.table().xs("std", axis=1, level=1).max().max() > 0.01


def test_the_table_ends_with_the_mean(result):
    rows = list(result.table().index)
    assert rows == [(method, name) for method in (OURS, *BASELINES) for name in ("bottle", "brick", "mean")]
    assert list(result.table().columns) == [(metric, part) for metric in METRICS for part in ("mean", "std")]


def test_metrics_can_be_written(result, tmp_path):
    written = json.loads(write_json(tmp_path / "metrics.json", result.metrics()).read_text(encoding="utf-8"))
    assert written["mean"] == result.metrics()["mean"]


def test_one_seed_has_no_deviation(model, tiny_benchmark, tmp_path):
    metrics = run(model, tiny_benchmark, seeds=(1,), baselines=False).metrics()
    written = json.loads(write_json(tmp_path / "metrics.json", metrics).read_text(encoding="utf-8"))
    assert all(cell["std"] is None and cell["mean"] is not None for cell in written["mean"].values())


@pytest.mark.parametrize("prompt", ["random", "pool"])
def test_the_batch_size_changes_nothing(model, tiny_benchmark, prompt):
    one, two, all_ = (run(model, tiny_benchmark, prompt=prompt, batch_size=n).values for n in (1, 2, 64))
    for other in (two, all_):
        assert one.drop(columns="value").equals(other.drop(columns="value"))
        np.testing.assert_allclose(one["value"], other["value"], rtol=0, atol=1e-3)  # a tie may break by rounding


def test_without_baselines(model, tiny_benchmark):
    assert list(run(model, tiny_benchmark, baselines=False).metrics()["methods"]) == [OURS]


def test_categories_do_not_depend_on_each_other(model, result, tiny_benchmark):
    alone = type(tiny_benchmark)(name="one", root=tiny_benchmark.root, categories=tiny_benchmark.categories[1:])
    found = run(model, alone).metrics()["categories"]["brick"]
    assert found == result.metrics()["categories"]["brick"]


def test_nearest_looks_into_the_own_class(model, tiny_benchmark):
    nearest = run(model, tiny_benchmark, prompt="nearest")
    assert nearest.right_class == nearest.metrics()["right_class"] == 1
    assert nearest.values["seed"].unique().tolist() == [1]


def test_pool_says_how_often_it_finds_the_class(model, tiny_benchmark, monkeypatch):
    assert run(model, tiny_benchmark, prompt="pool").right_class > 0.5

    monkeypatch.setattr(model, "embed", lambda images: torch.ones(len(images), 2))
    assert run(model, tiny_benchmark, prompt="pool").right_class == 0.5  # all take the first: right for one class


def test_turned_prompts_are_conditions(model, result, tiny_benchmark):
    turned = run(model, tiny_benchmark, rotations=(0.0, 90.0))
    names = ["prompt turned 0°", "prompt turned 90°"]
    assert turned.conditions() == names
    metrics = turned.metrics()
    assert list(metrics["conditions"]) == names
    assert metrics["conditions"][names[0]] == {key: metrics[key] for key in ("categories", "mean")}
    assert metrics["mean"] == result.metrics()["mean"]
    assert metrics["conditions"][names[1]]["mean"] != metrics["mean"]
    assert list(metrics["methods"]) == [OURS, *BASELINES]
    assert set(turned.values.loc[turned.values["condition"] == names[1], "method"]) == {OURS}


def test_training_mode_is_refused(tiny_benchmark):
    network = create_model("nano")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match="training mode"):
        run(network, tiny_benchmark)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prompt": "neerest"}, "prompt='neerest': .*'random', 'nearest' or 'pool'"),
        ({"seeds": ()}, r"seeds=\(\): .*at least 1"),
        ({"size": 8}, "size=8: .*greater than or equal to 32"),
        ({"rotation": (90.0,)}, "rotation is not known, did you mean 'rotations'"),
    ],
)
def test_what_is_wrong_in_settings_is_named(wrong, message):
    with pytest.raises(InputError, match="eval: " + message):
        EvalSettings.parse(wrong, origin="eval")

import json
import os
import statistics
from dataclasses import replace

import pandas as pd
import pytest

from metauas.errors import InputError
from metauas.eval import BASELINES, METRICS, EvalSettings, evaluate
from metauas.eval.results import check_out, write_results
from metauas.files import write_json

SEEDS = (1, 3, 5)


@pytest.fixture(scope="module")
def result(model, tiny_benchmark):
    return evaluate(model, tiny_benchmark, EvalSettings(size=32, seeds=SEEDS))


def values_of(result, **place):
    rows = result.values
    for column, value in place.items():
        rows = rows[rows[column] == value]
    return rows["value"].tolist()


def check_block(block, result, method, categories):
    assert block.keys() == {"categories", "mean", "averaged_over"}
    assert block["averaged_over"] == dict.fromkeys(METRICS, len(categories))
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
    assert metrics.keys() == {"network", "categories", "mean", "averaged_over", "methods", "right_class", "settings"}
    assert metrics["network"] == "lite"
    assert list(metrics["methods"]) == ["lite", *BASELINES]
    for method, block in metrics["methods"].items():
        check_block(block, result, method, categories)
    assert {key: metrics[key] for key in ("categories", "mean", "averaged_over")} == metrics["methods"]["lite"]
    assert metrics["right_class"] == 1
    assert metrics["settings"] == result.settings.model_dump()


def test_the_mean_is_taken_over_categories_for_each_seed_first(result):
    for method in ("lite", *BASELINES):
        for metric in METRICS:
            means = [statistics.mean(values_of(result, method=method, metric=metric, seed=seed)) for seed in SEEDS]
            expected = {"mean": statistics.mean(means), "std": statistics.stdev(means)}
            assert result.metrics()["methods"][method]["mean"][metric] == pytest.approx(expected, abs=1e-12)


def test_some_prompts_differ(result):
    """Otherwise the deviations above would all be 0 and say nothing."""
    assert result.table().xs("std", axis=1, level=1).max().max() > 0.01


def test_the_table_ends_with_the_mean(result):
    rows = list(result.table().index)
    assert rows == [(method, name) for method in ("lite", *BASELINES) for name in ("bottle", "brick", "mean")]
    assert list(result.table().columns) == [(metric, part) for metric in METRICS for part in ("mean", "std")]


def test_metrics_can_be_written(result, tmp_path):
    written = json.loads(write_json(tmp_path / "metrics.json", result.metrics()).read_text(encoding="utf-8"))
    assert written["mean"] == result.metrics()["mean"]


def test_one_seed_has_no_deviation(model, tiny_benchmark, tmp_path):
    metrics = evaluate(model, tiny_benchmark, EvalSettings(size=32, seeds=(1,)), baselines=False).metrics()
    written = json.loads(write_json(tmp_path / "metrics.json", metrics).read_text(encoding="utf-8"))
    assert all(cell["std"] is None and cell["mean"] is not None for cell in written["mean"].values())


def test_results_are_written_whole(result, tmp_path):
    paths = write_results(tmp_path / "out", metrics=result.metrics(), values=result.values)
    assert [path.name for path in paths] == ["metrics.json", "metrics.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.csv", "metrics.json"]
    assert json.loads(paths[0].read_text(encoding="utf-8"))["categories"] == result.metrics()["categories"]
    pd.testing.assert_frame_equal(pd.read_csv(paths[1]), result.values, rtol=1e-14)


def test_what_is_missing_is_null_and_an_empty_cell(result, tmp_path):
    values = result.values.copy()
    values.loc[values["metric"].eq("AUPRO") & values["category"].eq("brick"), "value"] = float("nan")
    changed = replace(result, values=values)
    json_path, csv_path = write_results(tmp_path, metrics=changed.metrics(), values=changed.values)
    written = json.loads(json_path.read_text(encoding="utf-8"))
    assert written["categories"]["brick"]["AUPRO"] == {"mean": None, "std": None}
    assert written["mean"]["AUPRO"] == written["categories"]["bottle"]["AUPRO"]
    assert (written["averaged_over"]["AUPRO"], written["averaged_over"]["P-AP"]) == (1, 2)
    assert sum(line.endswith(",AUPRO,") for line in csv_path.read_text().splitlines()) == (1 + len(BASELINES)) * len(
        SEEDS
    )


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    check_out(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file; choose another folder"):
        check_out(tmp_path / "file" / "out")
    monkeypatch.setattr("os.access", lambda path, mode: path.exists() if mode == os.F_OK else path != tmp_path)
    with pytest.raises(InputError, match="may not be written"):
        check_out(tmp_path / "new" / "folder")


def test_no_seed_counts_twice():
    with pytest.raises(InputError, match=r"seeds=\[1, 3, 3\]: 3 given more than once, which would make"):
        EvalSettings.parse({"seeds": [1, 3, 3]}, origin="evaluation settings")

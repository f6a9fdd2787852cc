"""The author's definitions, and the direct implementations that the benchmark compares with."""

import importlib.util
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest

from metauas.errors import InputError
from metauas.metrics import METRICS, compute_metrics, compute_metrics_official

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "metrics"
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "metrics.py"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"no reference values in {REFERENCE}")


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmarks_metrics", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARK.parent))
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def category(benchmark):
    return benchmark.make_category(8, 48, seed=1)


def assert_equal(found, expected, *, tolerance=1e-12):
    assert tuple(found) == METRICS
    np.testing.assert_allclose([found[n] for n in METRICS], [expected[n] for n in METRICS], rtol=0, atol=tolerance)


def test_the_official_variant_is_the_official_procedure(benchmark, category):
    assert_equal(compute_metrics_official(*category), benchmark.official_procedure(*category))


@pytest.mark.parametrize("levels", [7, 200, 256])
def test_the_official_variant_with_ties_at_thresholds(benchmark, category, levels):
    maps, masks, labels = category
    tied = np.round(maps * levels) / np.float32(levels)
    assert_equal(compute_metrics_official(tied, masks, labels), benchmark.official_procedure(tied, masks, labels))


def test_scores_equal_to_a_threshold_are_not_above_it(benchmark, category):
    _, masks, labels = category
    thresholds = np.arange(np.float32(0), np.float32(1), np.float32(1) / 200)  # in float64, as the script has them
    hit = thresholds[thresholds == thresholds.astype(np.float32)]
    assert len(hit) > 5
    maps = np.random.default_rng(0).choice(hit, size=masks.shape).astype(np.float32)
    maps = np.where(masks, np.maximum(maps, maps[::-1]), maps)
    maps[0, 0, :2] = 0, 1  # so that the scaling changes nothing
    assert_equal(compute_metrics_official(maps, masks, labels), benchmark.official_procedure(maps, masks, labels))


def test_the_range_of_the_maps_does_not_matter(category):
    maps, masks, labels = category
    assert compute_metrics_official(maps * 8 - 4, masks, labels) == pytest.approx(
        compute_metrics_official(maps, masks, labels), abs=1e-4
    )


def test_the_exact_metrics_are_those_of_the_benchmark(benchmark, category):
    assert_equal(compute_metrics(*category), benchmark.exact_metrics(*category))


@needs_reference
def test_reference_values():
    spec = json.loads((REFERENCE / "cases.json").read_text())
    with np.load(REFERENCE / "cases.npz") as file:
        data = dict(file)
    compared = 0
    for name, case in spec["categories"].items():
        expected = case["official_evaluator"]
        if all(isinstance(value, float) or value == "nan" for value in expected.values()):
            chosen = data["category"] == name
            maps, masks, labels = data["scores"][chosen], data["masks"][chosen] > 0, data["labels"][chosen] > 0
            found = compute_metrics_official(maps, masks, labels)
            values = {key.replace("P-AUPRO", "AUPRO"): float(value) for key, value in expected.items()}
            # without a positive the script gives 0, which no threshold reaches
            undefined = [n for n in METRICS if not (labels if n.startswith("I-") else masks).any()]
            assert_equal(found, values | dict.fromkeys(undefined, math.nan))
            compared += 1
    assert compared == len(spec["categories"]) - 2  # it stops with an error on constant maps and on NaN


def test_auroc_below_one_half_is_turned_round(category):
    maps, masks, labels = category
    found, exact = compute_metrics_official(-maps, masks, labels), compute_metrics(-maps, masks, labels)
    for name in ("I-AUROC", "P-AUROC"):
        assert exact[name] < 0.5
        assert found[name] == pytest.approx(1 - exact[name], abs=1e-4)  # the scaling makes a few ties


@pytest.mark.parametrize("value", [0.0, 0.7, math.inf])
def test_maps_that_cannot_be_scaled(category, value):
    _, masks, labels = category
    found = compute_metrics_official(np.full(masks.shape, value, dtype=np.float32), masks, labels)
    assert tuple(found) == METRICS
    assert all(math.isnan(number) for number in found.values())


def test_one_infinite_pixel_leaves_nothing(category):
    maps, masks, labels = category
    maps = maps.copy()
    maps[0, 0, 0] = math.inf
    assert all(math.isnan(number) for number in compute_metrics_official(maps, masks, labels).values())


def test_maps_of_two_values_have_no_official_aupro(category):
    _, masks, labels = category
    found = compute_metrics_official(masks.astype(np.float32), masks, labels)
    assert math.isnan(found["AUPRO"])  # every threshold has the rate 0, which cannot be stretched
    assert [found[name] for name in METRICS[:6]] == [1.0] * 6


def test_no_anomaly_and_nothing_else(category):
    maps, masks, labels = category
    none = compute_metrics_official(maps, np.zeros_like(masks), np.zeros_like(labels))
    assert all(math.isnan(number) for number in none.values())
    every = compute_metrics_official(maps, np.ones_like(masks), np.ones_like(labels))
    assert [name for name in METRICS if math.isnan(every[name])] == ["I-AUROC", "P-AUROC", "AUPRO"]


def test_nan_is_an_error(category):
    maps, masks, labels = category
    maps = maps.copy()
    maps[3, 0, 0] = math.nan
    with pytest.raises(InputError, match="NaN at image index 3 "):
        inspect.unwrap(compute_metrics_official)(maps, masks, labels)


def test_the_benchmark_compares_values_prints_and_writes(benchmark, tmp_path, capsys):
    out = tmp_path / "metrics.json"
    benchmark.main(size=32, images=6, rounds=2, out=out)
    printed, written = capsys.readouterr().out, json.loads(out.read_text())
    assert [row["against"] for row in written] == [benchmark.OFFICIAL, benchmark.EXACT]
    assert all(f"{row['against']}: " in printed for row in written)


def test_the_benchmark_refuses_other_values(benchmark):
    category = benchmark.make_category(4, 32)
    ways = {
        benchmark.OURS: compute_metrics,
        benchmark.STREAMING: benchmark.stream,
        benchmark.EXACT: benchmark.exact_metrics,
        benchmark.OFFICIAL: benchmark.official_procedure,
    }
    results = {name: way(*category) for name, way in ways.items()}
    benchmark.check(results, category)
    results[benchmark.EXACT]["AUPRO"] += 1e-6
    with pytest.raises(AssertionError, match="exact values differ"):
        benchmark.check(results, category)

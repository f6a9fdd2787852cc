from dataclasses import replace

import numpy as np
import pytest

from metauas.eval import EvalSettings, MapGatherer, compute_metrics, evaluate, failures_first, write_cases
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.selection import random_prompts
from metauas.eval.report.gallery import SIDE, image_errors, pixel_threshold
from metauas.files.maps import read_map
from metauas.seeding import rng_for


def scored(*scores):
    """Maps of two pixels with these maxima."""
    return np.array([[[score, 0.0]] for score in scores], dtype=np.float32)


def test_the_error_of_a_masked_image_is_one_less_its_own_precision():
    maps = np.array([[[0.9, 0.1, 0.5]], [[0.1, 0.9, 0.5]]], dtype=np.float32)
    masks = np.array([[[True, False, False]]] * 2)
    assert image_errors(maps, masks, np.array([True, True])).tolist() == pytest.approx([0, 2 / 3])


def test_other_images_err_by_their_rank_among_the_other_kind():
    maps, labels = scored(0.1, 0.5, 0.9, 0.5, 0.7), np.array([False, False, False, True, True])
    errors = image_errors(maps, np.zeros(maps.shape, dtype=bool), labels)
    assert errors.tolist() == pytest.approx([0, 0.25, 1, 0.5, 1 / 3])
    auroc = compute_metrics(maps, np.zeros(maps.shape, dtype=bool), labels)["I-AUROC"]
    assert errors[~labels].mean() == pytest.approx(1 - auroc)
    assert errors[labels].mean() == pytest.approx(1 - auroc)
    assert np.isnan(image_errors(maps, np.zeros(maps.shape, dtype=bool), np.zeros(5, dtype=bool))).all()


def test_the_threshold_gives_the_largest_f1():
    rng = rng_for(0, "threshold")
    masks = rng.random((3, 8, 8)) < 0.2
    maps = (0.3 * masks + 0.7 * rng.random(masks.shape)).astype(np.float32)
    found = maps >= np.float32(pixel_threshold(maps, masks))
    f1 = 2 * (found & masks).sum() / (found.sum() + masks.sum())
    assert f1 == pytest.approx(compute_metrics(maps, masks, np.ones(3, dtype=bool))["P-F1max"])
    assert np.isnan(pixel_threshold(maps, np.zeros_like(masks)))


def gather(model, benchmark, *, seeds=(1, 3), **options):
    settings = EvalSettings(size=32, seeds=seeds)
    gatherer = MapGatherer(benchmark, **options)
    seen = []
    take = [lambda queries, prompts, seed, maps: seen.append((queries.category.name, seed)), gatherer]
    evaluation = evaluate(model, benchmark, settings, baselines=False, on_maps=take)
    return gatherer, evaluation, seen


def test_worst_and_best_of_the_first_seed_are_gathered(model, tiny_benchmark):
    gatherer, evaluation, seen = gather(model, tiny_benchmark, worst=1, best=1)
    assert seen == [(name, seed) for name in ("bottle", "brick") for seed in (1, 3)]
    values = evaluation.values.set_index(["category", "seed", "metric"])["value"]
    for name in ("bottle", "brick"):
        for metric, curve in gatherer.curves[name].items():
            assert curve.area() == pytest.approx(values[name, 1, metric], abs=0.01)
        of_category = [case for case in gatherer.cases if case.category == name]
        assert [(case.label, case.fails) for case in of_category] == [(True, True), (False, True), (True, False)]
        assert of_category[2].error <= of_category[0].error
    for case in gatherer.cases:
        assert case.prompt.shape == case.truth.shape == case.found.shape == (SIDE, SIDE, 3)
        assert case.map.shape == (SIDE, SIDE)
        assert 0 < case.map.max() <= 1
        assert (tiny_benchmark.root / case.name).is_file()


def test_no_image_is_gathered_twice_and_failures_come_first(model, tiny_benchmark):
    gatherer, _, _ = gather(model, tiny_benchmark, seeds=(1,), worst=10, best=10)
    assert len({case.name for case in gatherer.cases}) == len(gatherer.cases) == 2 * 5
    errors = [case.error for case in failures_first(gatherer.cases)]
    assert errors == sorted(errors, reverse=True)


def test_no_more_is_kept_than_fits_into_memory_whatever_the_number_of_categories(model, tiny_benchmark, monkeypatch):
    everything, _, _ = gather(model, tiny_benchmark, seeds=(1,), worst=10, best=10)
    monkeypatch.setattr("metauas.eval.report.gallery.MOST", 5)
    monkeypatch.setattr("metauas.eval.report.gallery.MOST_FIXED", 1)
    gatherer, _, _ = gather(model, tiny_benchmark, seeds=(1,), worst=10, best=10)
    assert len(gatherer.cases) == 5
    failing = failures_first([case for case in everything.cases if case.fails])
    assert {case.name for case in gatherer.cases} >= {case.name for case in failing[:4]}
    assert [case.category for case in gatherer.fixed_cases] == ["bottle"]


def test_without_masks_nothing_is_outlined(model, tiny_benchmark):
    bottle = tiny_benchmark.categories[0]
    test = [replace(sample, mask_path=None) for sample in bottle.test]
    gatherer, _, _ = gather(model, replace(tiny_benchmark, categories=[replace(bottle, test=test)]), seeds=(1,))
    assert set(gatherer.curves["bottle"]) == {"I-AUROC"}
    for case in gatherer.cases:
        assert np.isnan(case.threshold)
        assert np.array_equal(case.truth, case.found)


def test_fixed_cases_do_not_depend_on_network_prompt_or_seed_and_are_written(tiny_benchmark, tmp_path):
    names = []
    for seed, level in ((1, 0.2), (3, 0.8)):
        gatherer = MapGatherer(tiny_benchmark)
        for category in tiny_benchmark.categories:
            queries = Queries(category, size=32)
            prompts = [random_prompts(category, seed=seed)] * len(queries)
            gatherer(queries, prompts, seed, np.full((len(queries), 32, 32), level, dtype=np.float32))
        names.append([case.name for case in gatherer.fixed_cases])
        assert all(case.label for case in gatherer.fixed_cases)
    assert names[0] == names[1]
    assert len(names[0]) == len(tiny_benchmark.categories)
    written = write_cases(gatherer.fixed_cases, tmp_path)
    assert [sorted(path.name for path in folder.iterdir()) for folder in written] == [
        ["map.png", "prompt.png", "query.png"]
    ] * len(names[0])
    assert read_map(written[0] / "map.png").max() == 1

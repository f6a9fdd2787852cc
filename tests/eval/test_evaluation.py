from dataclasses import replace

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval import BASELINES, METRICS, EvalSettings, compute_metrics, evaluate, variants_of
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.conditions import Condition, turned_prompt
from metauas.eval.prompts.selection import random_prompts
from metauas.files.images import stack_images
from metauas.metrics import compute_metrics_official
from metauas.model import MetaUASPlus, ScaleAverage, TowerSimilarity, create_model, fast_copy

SEEDS = (1, 3, 5)


def run(model, benchmark, *, baselines=True, official=False, conditions=None, on_maps=(), **changes):
    settings = EvalSettings(**{"size": 32, "seeds": SEEDS, **changes})
    options = {"baselines": baselines, "official": official, "conditions": conditions, "on_maps": on_maps}
    return evaluate(model, benchmark, settings, **options)


@pytest.fixture(scope="module")
def result(model, tiny_benchmark):
    return run(model, tiny_benchmark)


def values_of(result, **place):
    rows = result.values
    for column, value in place.items():
        rows = rows[rows[column] == value]
    return rows["value"].tolist()


def test_the_table_holds_every_number_once(result, tiny_benchmark):
    names = ["method", "condition", "category", "seed", "definition", "metric"]
    assert list(result.values.columns) == [*names, "value"]
    assert not result.values.duplicated(names).any()
    assert len(result.values) == (1 + len(BASELINES)) * len(tiny_benchmark.categories) * len(SEEDS) * len(METRICS)
    assert result.values["value"].between(0, 1).all()


@pytest.mark.parametrize("method", ["lite", *BASELINES])
def test_the_numbers_are_those_of_prompt_and_maps(result, model, tiny_benchmark, method):
    segment = {"lite": model.segment, **BASELINES}[method]
    for category in tiny_benchmark.categories:
        test = Queries(category, size=32)
        for seed in SEEDS:
            prompt = stack_images(random_prompts(category, seed=seed), size=32)
            maps = segment(test.images(range(len(test))), prompt)[:, 0].numpy()
            expected = compute_metrics(maps, test.masks, test.labels)
            for metric in METRICS:
                found = values_of(result, method=method, category=category.name, seed=seed, metric=metric)
                assert found == pytest.approx([expected[metric]], abs=1e-6)


class Difference:
    """A network by hand, exact to the last bit: the absolute difference, encoded in a way of its own."""

    training = False
    label = "difference"

    def embed(self, images):
        return images.mean(dim=(2, 3))

    def encode_prompt(self, prompt):
        several = prompt if prompt.dim() == 5 else prompt[:, None]
        return {"mean": several.mean(dim=1).numpy()}

    def segment(self, queries, prompt):
        return (queries - torch.from_numpy(prompt["mean"])).abs()[:, :1]


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("prompt", ["random", "nearest", "pool"])
def test_neither_batches_nor_order_change_a_number(tiny_benchmark, prompt, shots):
    """This network and comparisons of pixels compute each image alone, so their maps are equal to the last bit."""
    shuffled = [replace(c, test=[c.test[i] for i in (3, 0, 4, 2, 1)]) for c in tiny_benchmark.categories]
    other = replace(tiny_benchmark, categories=shuffled[::-1])
    options = {"prompt": prompt, "shots": shots, "seeds": (1, 3)}
    first = run(Difference(), tiny_benchmark, queries_at_once=64, **options).values
    for benchmark, batch_size in ((tiny_benchmark, 1), (tiny_benchmark, 2), (other, 3)):
        values = run(Difference(), benchmark, queries_at_once=batch_size, **options).values
        keys = list(values.columns[:-1])
        both = first.merge(values, on=keys, validate="one_to_one")
        assert len(both) == len(first)
        # shares of regions are added up in the order of the images; an encoder rounds by its batch
        tolerance = np.where(both["method"] == "nearest features", 1e-3, 0.0 if benchmark is not other else 1e-12)
        assert ((both["value_x"] - both["value_y"]).abs() <= tolerance).all()


def test_the_batch_size_changes_the_network_by_rounding_alone(model, tiny_benchmark):
    collected = {n: [] for n in (1, 2, 64)}
    for n, maps in collected.items():
        run(model, tiny_benchmark, queries_at_once=n, on_maps=[lambda *place, maps=maps: maps.append(place[-1])])
    for other in (2, 64):
        np.testing.assert_allclose(collected[1], collected[other], rtol=0, atol=1e-6)


def test_others_can_take_the_networks_place(model, result, tiny_benchmark):
    fast = run(fast_copy(model), tiny_benchmark, baselines=False).metrics()["mean"]
    for metric, cell in result.metrics()["mean"].items():
        assert fast[metric]["mean"] == pytest.approx(cell["mean"], abs=1e-3)  # a tie may break by rounding
    torch.manual_seed(0)
    similarity = TowerSimilarity("random", name="test_vit")
    options = {"prompt": "pool", "shots": 2, "baselines": False}
    alone = run(model, tiny_benchmark, **options).values["value"]
    assert run(MetaUASPlus(model, similarity, weight=0.0), tiny_benchmark, **options).values["value"].equals(alone)
    assert not run(MetaUASPlus(model, similarity), tiny_benchmark, **options).values["value"].equals(alone)


def test_more_shots_give_other_numbers(model, result, tiny_benchmark):
    assert run(model, tiny_benchmark, shots=2).metrics()["mean"] != result.metrics()["mean"]
    with pytest.raises(InputError, match="shots=3: category 'bottle' has 2 normal images"):
        run(model, tiny_benchmark, shots=3)


def test_maps_are_handed_out_once_for_each_category_and_seed(model, tiny_benchmark):
    found = {}

    def take(queries, prompts, seed, maps):
        assert (queries.category.name, seed) not in found
        assert set(prompts) == {random_prompts(queries.category, seed=seed)}
        found[queries.category.name, seed] = maps

    run(model, tiny_benchmark, rotations=(0.0, 90.0), on_maps=[take])
    assert found.keys() == {(name, seed) for name in ("bottle", "brick") for seed in SEEDS}
    category = tiny_benchmark.categories[1]
    queries = Queries(category, size=32)
    prompt = stack_images(random_prompts(category, seed=3), size=32)
    expected = model.segment(queries.images(range(5)), prompt)[:, 0].numpy()
    np.testing.assert_allclose(found["brick", 3], expected, rtol=0, atol=1e-6)


def test_without_baselines(model, tiny_benchmark):
    assert list(run(model, tiny_benchmark, baselines=False).metrics()["methods"]) == ["lite"]


def test_categories_do_not_depend_on_each_other(model, result, tiny_benchmark):
    alone = Benchmark(name="one", root=tiny_benchmark.root, categories=tiny_benchmark.categories[1:])
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
    assert metrics["conditions"][names[0]] == metrics["methods"]["lite"]
    assert metrics["mean"] == result.metrics()["mean"]
    assert metrics["conditions"][names[1]]["mean"] != metrics["mean"]
    assert list(metrics["methods"]) == ["lite", *BASELINES]
    assert set(turned.values.loc[turned.values["condition"] == names[1], "method"]) == {"lite"}


def test_any_change_of_prompts_can_be_a_condition(model, result, tiny_benchmark):
    conditions = [Condition("as it is", lambda images, _: images), Condition("inverted", lambda images, _: 1 - images)]
    found = run(model, tiny_benchmark, conditions=conditions).metrics()
    assert found["mean"] == result.metrics()["mean"]
    assert list(found["conditions"]) == ["as it is", "inverted"]
    assert found["conditions"]["inverted"]["mean"] != found["mean"]
    with pytest.raises(InputError, match="share the name 'prompt turned 90°'"):
        run(model, tiny_benchmark, conditions=[turned_prompt(90.0)] * 2)


def test_the_authors_definitions_stand_beside_the_exact_ones(model, result, tiny_benchmark):
    maps = []
    both = run(model, tiny_benchmark, official=True, on_maps=[lambda *place: maps.append(place)])
    assert both.definitions() == ["exact", "official"]
    exact = both.values[both.values["definition"] == "exact"].reset_index(drop=True)
    assert exact.equals(result.values)
    for queries, _, seed, found in maps:
        expected = compute_metrics_official(found, queries.masks, queries.labels)
        for metric in METRICS:
            place = {"method": "lite", "category": queries.category.name, "seed": seed, "metric": metric}
            assert values_of(both, definition="official", **place) == [expected[metric]]
    assert both.metrics()["official"]["mean"]["AUPRO"] != both.metrics()["mean"]["AUPRO"]


def only(category, keep):
    return replace(category, test=[sample for sample in category.test if keep(sample)])


def without_masks(category):
    return replace(category, test=[replace(sample, mask_path=None) for sample in category.test])


PIXELS = {"P-AUROC", "P-AP", "P-F1max", "AUPRO"}


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda category: only(category, lambda sample: not sample.label), {"I-AUROC", "I-AP", "I-F1max", *PIXELS}),
        (without_masks, PIXELS),
        (lambda category: only(category, lambda sample: sample.label), {"I-AUROC"}),
    ],
    ids=["no anomalies", "no masks", "anomalies only"],
)
def test_what_a_category_cannot_have_is_missing_and_leaves_the_mean_alone(
    model, result, tiny_benchmark, change, missing
):
    bottle, brick = tiny_benchmark.categories
    found = run(model, replace(tiny_benchmark, categories=[bottle, change(brick)])).metrics()
    for metric in METRICS:
        bottle_alone, cell = result.metrics()["categories"]["bottle"][metric], found["categories"]["brick"][metric]
        if metric in missing:
            assert np.isnan(cell["mean"])
            assert found["mean"][metric] == pytest.approx(bottle_alone, nan_ok=True)
        else:
            assert 0 < cell["mean"] <= 1
            assert found["mean"][metric]["mean"] == pytest.approx((bottle_alone["mean"] + cell["mean"]) / 2)
        assert found["averaged_over"][metric] == (1 if metric in missing else 2)


def test_what_no_category_has_is_missing_everywhere(model, tiny_benchmark):
    categories = [without_masks(category) for category in tiny_benchmark.categories]
    found = run(model, replace(tiny_benchmark, categories=categories), baselines=False, official=True).metrics()
    for block in (found, found["official"]):
        assert all(np.isnan(block["mean"][metric]["mean"]) for metric in PIXELS)
        assert {metric for metric, count in block["averaged_over"].items() if count == 0} == PIXELS


def test_training_mode_is_refused(tiny_benchmark):
    network = create_model("lite")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match="training mode"):
        run(network, tiny_benchmark)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"prompt": "neerest"},
            "prompt='neerest': no strategy and no file, did you mean 'nearest'.* pool",
        ),
        ({"shots": 0}, "shots=0: .*greater than or equal to 1"),
        ({"seeds": ()}, r"seeds=\(\): .*at least 1"),
        ({"seeds": (1, -3)}, r"seeds\.1=-3: .*greater than or equal to 0"),
        ({"size": 8}, "size=8: .*greater than or equal to 32"),
        ({"rotation": (90.0,)}, "rotation is not known, did you mean 'rotations'"),
    ],
)
def test_what_is_wrong_in_settings_is_named(wrong, message):
    with pytest.raises(InputError, match="eval: " + message):
        EvalSettings.parse(wrong, origin="eval")


def test_variants_have_rows_of_their_own_between_network_and_baselines(model, tiny_benchmark):
    settings = EvalSettings(size=32, seeds=(1,), average_scales=True, plus="encoder")
    variants = variants_of(model, settings)
    found = evaluate(model, tiny_benchmark, settings, variants=variants)
    assert found.methods() == [
        "lite",
        "lite, 3 scales",
        "lite + visual similarity, 3 scales",
        "lite + visual similarity",
        *BASELINES,
    ]
    assert found.network == "lite"
    alone = evaluate(variants[2], tiny_benchmark, settings, baselines=False)
    assert alone.network == "lite + visual similarity"
    assert alone.values["value"].tolist() == values_of(found, method="lite + visual similarity")
    assert variants_of(model, EvalSettings()) == []


def test_two_methods_of_one_name_are_refused(model, tiny_benchmark):
    with pytest.raises(InputError, match="two methods are called 'lite'; give each network a label of its own"):
        evaluate(model, tiny_benchmark, EvalSettings(size=32), variants=[model])


def test_a_variant_in_training_mode_is_refused(model, tiny_benchmark):
    variant = ScaleAverage(model)
    variant.training = True
    with pytest.raises(InputError, match="training mode"):
        evaluate(model, tiny_benchmark, EvalSettings(size=32), variants=[variant])

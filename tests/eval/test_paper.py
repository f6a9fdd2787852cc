from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metauas.errors import InputError
from metauas.eval import METRICS, EvalSettings, Evaluation, beside_paper, find_dataset, paper_results
from metauas.eval.report.paper import paper_size

SIZES = {"mvtec": 15, "visa": 12, "goods": 6}


def evaluation(categories, *, official=False, prompt="random"):
    definitions = ["exact", "official"] if official else ["exact"]
    rows = [
        ("lite", "as it is", category, seed, definition, metric, value)
        for category in categories
        for seed, value in ((1, 0.4), (3, 0.6))
        for definition in definitions
        for metric in METRICS
    ]
    columns = ["method", "condition", "category", "seed", "definition", "metric", "value"]
    return Evaluation(pd.DataFrame(rows, columns=columns), EvalSettings(prompt=prompt), right_class=1.0)


@pytest.mark.parametrize("dataset", SIZES)
def test_the_published_tables_are_complete_and_their_means_agree(dataset):
    results = paper_results(dataset)
    assert list(dict.fromkeys(results.index.get_level_values("method"))) == ["MetaUAS", "MetaUAS★", "MetaUAS★+"]
    for method, rows in results.groupby("method"):
        incomplete = (dataset, method) == ("goods", "MetaUAS")  # as the file says
        assert len(rows) == SIZES[dataset] + 1 - incomplete
        means = rows.droplevel("method").xs("mean", axis=1, level=1)
        assert means.stack().between(0, 100).all()
        if not incomplete:
            np.testing.assert_allclose(means.drop(index="mean").mean(), means.loc["mean"], atol=0.11)
    spread = results.loc["MetaUAS"].xs("std", axis=1, level=1)
    assert spread.notna().all(axis=None)
    assert results.loc["MetaUAS★"].xs("std", axis=1, level=1).isna().all(axis=None)
    assert paper_size(dataset) == (256 if dataset == "mvtec" else 512)


def test_an_unknown_benchmark_has_no_published_results():
    with pytest.raises(InputError, match="did you mean 'visa'"):
        paper_results("vissa")
    assert {source for _, source in beside_paper(evaluation(["disc"]), None).columns} == {"ours exact"}


def test_ours_stands_beside_the_papers_in_percent():
    categories = list(paper_results("visa").loc["MetaUAS"].index.drop("mean"))
    table = beside_paper(evaluation(categories[::-1], official=True), "visa")
    assert list(table.index) == [*categories[::-1], "mean"]
    assert list(table["P-AP"].columns) == ["ours exact", "ours official", "paper"]
    assert table["P-AP", "ours official"].tolist() == pytest.approx([50.0] * 13)
    published = paper_results("visa").loc["MetaUAS"]
    assert table["P-AP", "paper"].to_dict() == published["P-AP", "mean"].to_dict()


def test_a_category_that_was_not_published_is_missing():
    categories = list(paper_results("goods").loc["MetaUAS★"].index.drop("mean"))
    published = beside_paper(evaluation(categories), "goods")["I-AUROC", "paper"]
    assert published.isna().sum() == 1
    assert published["mean"] == paper_results("goods").loc[("MetaUAS", "mean"), ("I-AUROC", "mean")]


def test_the_papers_mean_is_over_the_categories_that_were_evaluated():
    table = beside_paper(evaluation(["tile", "wood"]), "mvtec")["I-AUROC", "paper"]
    assert table["mean"] == pytest.approx((table["tile"] + table["wood"]) / 2)


@pytest.mark.parametrize("prompt", ["nearest", "pool"])
def test_chosen_prompts_are_compared_with_the_papers_chosen_prompts(prompt):
    found = beside_paper(evaluation(["tile"], prompt=prompt), "mvtec")["P-AP", "paper"]["tile"]
    assert found == paper_results("mvtec").loc[("MetaUAS★", "tile"), ("P-AP", "mean")]
    with pytest.raises(InputError, match="method='MetaUAS2' is not known"):
        beside_paper(evaluation(["tile"]), "mvtec", method="MetaUAS2")


def test_a_benchmark_is_known_by_all_categories_in_its_folder(tiny_benchmark, tmp_path):
    bottle = replace(tiny_benchmark.categories[0], name="bottle")
    assert find_dataset(replace(tiny_benchmark, categories=[bottle])) is None  # Miniature's
    (tmp_path / "bottle" / "train").mkdir(parents=True)
    (tmp_path / "split").mkdir()
    own = replace(tiny_benchmark, root=tmp_path, categories=[bottle])
    assert find_dataset(own) == "mvtec"
    assert find_dataset(replace(own, categories=[replace(bottle, name="pcb1")])) is None


@pytest.mark.parametrize("layout", ["real-iad", "btad", "loco", "folder"])
def test_what_has_the_papers_names_and_another_layout_is_not_its_benchmark(tiny_benchmark, tmp_path, layout):
    """Real-IAD has a toothbrush, too."""
    category = replace(tiny_benchmark.categories[0], name="toothbrush")
    named = replace(tiny_benchmark, root=tmp_path, categories=[category])
    assert find_dataset(named) == "mvtec"
    assert find_dataset(replace(named, layout=layout)) is None

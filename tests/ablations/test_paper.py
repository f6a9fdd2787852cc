"""The paper's figures beside ours."""

import pandas as pd
import pytest

from metauas.ablations import beside_paper
from metauas.ablations.results.paper import published
from metauas.eval.report.paper import paper_results


def test_the_figures_are_those_that_evaluation_ships():
    rows = published()[published()["factor"] == "prompt"]
    names = {"MVTec AD": "mvtec", "VisA": "visa", "GoodsAD": "goods"}
    methods = {"random": "MetaUAS", "nearest": "MetaUAS★"}
    assert len(rows) == 3 * 2 * 7
    for row in rows.itertuples():
        cell = paper_results(names[row.dataset]).loc[(methods[row.variant], "mean"), row.metric]
        assert cell["mean"] == row.mean
        assert cell["std"] == row.std or (pd.isna(cell["std"]) and pd.isna(row.std))


def test_what_both_have_stands_side_by_side():
    rows = [
        {"factor": factor, "variant": variant, "seed": seed, "category": "mean", "metric": "I-AUROC", "value": value}
        for factor, variant in (("prompt", "random"), ("prompt", "pool"), ("alignment", "none"))
        for seed, value in ((1, 0.8), (3, 0.9))
    ]
    table = beside_paper(pd.DataFrame(rows))
    assert table.index.tolist() == [("prompt", "random")]
    assert table.loc[("prompt", "random"), ("I-AUROC", "ours")] == "85.0 ± 7.1"
    assert table.loc[("prompt", "random"), ("I-AUROC", "paper, MVTec AD")] == "90.7 ± 0.7"
    assert beside_paper(pd.DataFrame(rows[4:])).empty


@pytest.mark.parametrize("side", ["256", "512"])
def test_the_sides_are_those_of_table_2(side):
    rows = published().query("factor == 'resolution-paper' and variant == @side")
    assert set(rows["metric"]) == {"I-AUROC", "P-AUROC", "P-AP"}
    assert set(rows["table"]) == {"Table 2"}

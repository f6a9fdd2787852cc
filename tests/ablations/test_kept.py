"""The results of ``make ablations`` that come with the package."""

import json

import pandas as pd
import pytest

from metauas.ablations import all_metrics, kept_origin, summary, summary_table
from metauas.ablations.factors import factor_files, factors
from metauas.ablations.results.kept import KEPT, keep
from metauas.metrics import METRICS


def write_run(folder, *, factor, variant, seed, value):
    run = folder / factor / variant / f"seed-{seed}"
    cells = {metric: {"mean": value, "std": 0.0} for metric in METRICS}
    (run / "04_eval").mkdir(parents=True)
    (run / "04_eval" / "metrics.json").write_text(json.dumps({"categories": {"nut": cells}, "mean": cells}))
    parameters = {"size": 96, "steps": 5, "alignment": variant}
    (run / "run.json").write_text(json.dumps({"parameters": parameters, "code": "abc"}))


@pytest.fixture
def sweep(tmp_path):
    for variant, value in (("soft", 0.75), ("none", 0.5)):
        for seed in (1, 3):
            write_run(tmp_path / "sweep", factor="alignment", variant=variant, seed=seed, value=value + seed / 100)
    return tmp_path / "sweep"


def test_what_comes_with_the_package_is_complete_and_says_where_it_is_from():
    kept = pd.read_csv(KEPT / "offline.csv")
    assert {"alignment", "prompt"} <= set(kept["factor"]) <= set(factors())
    for factor, rows in kept.groupby("factor"):
        assert set(rows["variant"]) <= {file.stem for file in factor_files(str(factor))}
        assert rows.groupby("variant")["seed"].nunique().min() > 1, "a single seed shows no spread"
    assert kept["value"].dropna().between(0, 1).all()
    origin = kept_origin()
    assert origin["command"].startswith("metauas sweep ")
    assert {"date", "versions", "code", "common parameters"} <= origin.keys()


def test_live_runs_take_the_place_of_the_kept_ones_of_their_factor(sweep):
    frame = all_metrics(sweep)
    sources = frame.groupby("factor")["source"].unique().map(list)
    assert sources["alignment"] == ["run here"]
    assert sources["prompt"] == ["kept"]
    table = summary_table(summary(frame))
    assert set(table.loc[table["factor"] == "alignment", "source"]) == {"run here"}


def test_without_any_run_all_is_kept(tmp_path):
    assert set(all_metrics()["source"]) == {"kept"}
    assert set(all_metrics(tmp_path)["source"]) == {"kept"}


def test_keeping_a_sweep(sweep, tmp_path):
    table, origin = keep(sweep, command="metauas sweep alignment", folder=tmp_path / "kept")
    kept = pd.read_csv(table)
    assert kept.groupby(["variant", "seed"])["value"].first().to_dict() == {
        ("none", 1): 0.51, ("none", 3): 0.53, ("soft", 1): 0.76, ("soft", 3): 0.78,
    }  # fmt: skip
    about = json.loads(origin.read_text())
    assert about["runs"] == 4
    assert about["code"] == ["abc"]
    assert about["common parameters"] == {"size": 96, "steps": 5}
    assert about["command"] == "metauas sweep alignment"

"""From metrics files to tables."""

import math

import pytest

from metauas.ablations.results.collect import collect_metrics, format_mean_std, summary, summary_table
from metauas.errors import InputError
from metauas.files import write_json


def spread(value, std=0.01):
    return {"mean": value, "std": std}


def block(value):
    per_metric = {"I-AUROC": spread(value), "AUPRO": spread(None)}
    return {"categories": {"bottle": per_metric}, "mean": per_metric}


@pytest.fixture
def folder(tmp_path):
    for variant, seed, value in [("soft", 1, 0.9), ("soft", 3, 0.8), ("none", 1, 0.5)]:
        write_json(tmp_path / f"alignment/{variant}/seed-{seed}/04_eval/metrics.json", block(value))
    return tmp_path


def test_one_row_a_number(folder):
    frame = collect_metrics(folder)
    assert list(frame) == ["factor", "variant", "seed", "category", "metric", "value"]
    assert len(frame) == 3 * 2 * 2
    row = frame[(frame["variant"] == "soft") & (frame["seed"] == 3) & (frame["metric"] == "I-AUROC")]
    assert row["value"].tolist() == [0.8, 0.8]
    assert row["category"].tolist() == ["bottle", "mean"]
    assert frame[frame["metric"] == "AUPRO"]["value"].isna().all()


def test_conditions_become_a_column(folder):
    file = folder / "alignment/soft/seed-5/04_eval/metrics.json"
    write_json(file, {**block(0.9), "conditions": {"shifted": block(0.7)}})
    frame = collect_metrics(folder)
    assert set(frame["condition"]) == {"plain", "shifted"}
    shifted = summary(frame).query("condition == 'shifted' and metric == 'I-AUROC'")
    assert shifted["mean"].tolist() == [0.7]
    assert list(summary_table(summary(frame)))[:3] == ["factor", "variant", "condition"]


def test_the_main_block_is_not_counted_beside_the_conditions(folder):
    file = folder / "alignment/soft/seed-5/04_eval/metrics.json"
    write_json(file, {**block(0.9), "conditions": {"natural": block(0.9), "shifted": block(0.7)}})
    frame = collect_metrics(folder)
    assert set(frame[frame["seed"] == 5]["condition"]) == {"natural", "shifted"}


def test_mean_and_sample_deviation_over_seeds(folder):
    table = summary(collect_metrics(folder)).set_index(["variant", "metric"])
    assert table.loc[("soft", "I-AUROC"), "mean"] == pytest.approx(0.85)
    assert table.loc[("soft", "I-AUROC"), "std"] == pytest.approx(math.sqrt(0.005))
    assert table.loc[("soft", "I-AUROC"), "seeds"] == 2
    assert math.isnan(table.loc[("none", "I-AUROC"), "std"])


def test_the_readable_table(folder):
    table = summary_table(summary(collect_metrics(folder))).set_index("variant")
    assert table["I-AUROC"].to_dict() == {"none": "50.0", "soft": "85.0 ± 7.1"}
    assert table["AUPRO"].to_dict() == {"none": "–", "soft": "–"}


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.913, 0.0089, "91.3 ± 0.9"),
        (0.5, None, "50.0"),
        (0.5, math.nan, "50.0"),
        (None, 0.1, "–"),
        (math.nan, None, "–"),
    ],
)
def test_formatting(mean, std, text):
    assert format_mean_std(mean, std) == text


def test_formatting_of_plain_numbers():
    assert format_mean_std(91.25, 0.5, scale=1.0) == "91.2 ± 0.5"


def test_what_is_missing_or_misshapen_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        collect_metrics(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"should hold <factor>/<variant>/seed-<seed>/04_eval/metrics\.json"):
        collect_metrics(tmp_path)
    write_json(tmp_path / "a/b/seed-1/04_eval/metrics.json", {"mean": {"I-AUROC": 0.5}, "categories": {}})
    with pytest.raises(InputError, match=r"metrics\.json does not have the form"):
        collect_metrics(tmp_path)


def test_a_factor_is_never_mixed_from_two_folders(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_json(other / "alignment/soft/seed-1/04_eval/metrics.json", block(0.1))
    write_json(other / "prompt/pool/seed-1/04_eval/metrics.json", block(0.3))
    means = summary(collect_metrics(other, folder)).query("metric == 'I-AUROC'")
    assert list(zip(means["factor"], means["variant"], means["mean"], means["seeds"], strict=True)) == [
        ("alignment", "soft", 0.1, 1),
        ("prompt", "pool", 0.3, 1),
    ]


def record(folder, variant, seed, **training):
    after = {"parameters": {"seed": seed, **training}}
    write_json(folder / f"alignment/{variant}/seed-{seed}/run.json", {"parameters": {}, "code": "a", "after": after})


def test_seeds_of_one_variant_with_different_parameters_are_refused(folder):
    for variant, seed in (("soft", 1), ("soft", 3), ("none", 1)):
        record(folder, variant, seed, steps=30, alignment=variant)
    assert len(collect_metrics(folder)) == 12
    record(folder, "soft", 3, steps=300, alignment="soft")
    with pytest.raises(InputError, match="soft/seed-1 and seed-3 differ in steps, so they are no seeds"):
        collect_metrics(folder)

"""Every variant against the chosen one."""

import pandas as pd
import pytest

from metauas.ablations import compare_all, comparison_table


def rows_of(factor, values):
    """One row a seed and category, the same differences between variants in each but for a little noise."""
    return [
        {
            "factor": factor,
            "variant": variant,
            "seed": seed,
            "category": name,
            "metric": "P-AP",
            "value": value + noise,
        }
        for variant, value in values.items()
        for seed, name, noise in [(1, "a", 0.0), (1, "b", 0.01 * value), (3, "a", 0.02 * value), (3, "b", 0.0)]
    ]


@pytest.fixture
def frame():
    alignment = rows_of("alignment", {"hard": 0.4, "none": 0.2, "soft": 0.6})
    return pd.DataFrame([*alignment, *rows_of("mine", {"a": 0.5, "b": 0.5})])


def test_the_papers_choice_is_compared_with_all_others_else_the_last(frame):
    comparisons = compare_all(frame, metrics=["P-AP"])
    named = [(one.factor, one.better, one.other) for one in comparisons]
    assert named == [("alignment", "soft", "hard"), ("alignment", "soft", "none"), ("mine", "b", "a")]
    assert comparisons[1].difference == pytest.approx(0.4 + 0.4 * 0.03 / 4)


def test_the_table_says_what_is_significant(frame):
    table = comparison_table(compare_all(frame, metrics=["P-AP"]))
    assert table["verdict"].tolist() == ["soft is better", "soft is better", "not significant"]
    assert table["difference"].tolist() == pytest.approx([20.15, 40.3, 0.0], abs=0.051)  # one decimal
    assert (table["95 % from"] <= table["difference"]).all()
    assert table["pairs"].tolist() == [4, 4, 4]


def test_without_a_common_pair_nothing_is_said(frame):
    apart = frame.assign(seed=frame["seed"].where(frame["variant"] != "soft", 99))
    assert [one.factor for one in compare_all(apart, metrics=["P-AP"])] == ["mine"]
    assert comparison_table([]).empty

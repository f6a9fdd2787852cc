"""Paired differences."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metauas.ablations import compare
from metauas.errors import InputError

DIFFERENCES = {(1, "a"): 0.10, (1, "b"): 0.14, (3, "a"): 0.06, (3, "b"): 0.12}


def frame_of(differences, *, conditions=(None,)):
    rows = [
        {"variant": variant, "seed": seed, "category": category, "metric": "P-AP", "value": value, "condition": name}
        for (seed, category), difference in differences.items()
        for name in conditions
        for variant, value in (("soft", 0.5 + difference), ("none", 0.5))
    ]
    frame = pd.DataFrame([*rows, *({**row, "category": "mean", "value": 0.0} for row in rows)])
    return frame.drop(columns="condition") if conditions == (None,) else frame


def test_difference_and_interval_are_those_of_the_paired_t_test():
    found = compare(frame_of(DIFFERENCES), better="soft", other="none", metric="P-AP")
    values = np.array(list(DIFFERENCES.values()))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.difference, found.low, found.high) == pytest.approx((values.mean(), expected.low, expected.high))
    assert found.pairs == 4
    assert found.sentence().endswith("soft is better.")


def test_conditions_are_averaged_and_not_counted_as_pairs():
    frame = frame_of(DIFFERENCES, conditions=("natural", "turned"))
    turned = frame["condition"] == "turned"
    frame.loc[turned & (frame["variant"] == "soft"), "value"] += 0.02
    found = compare(frame, better="soft", other="none", metric="P-AP")
    assert found.pairs == 4
    assert found.difference == pytest.approx(np.mean(list(DIFFERENCES.values())) + 0.01)
    alone = compare(frame, better="soft", other="none", metric="P-AP", condition="natural")
    assert alone.difference == pytest.approx(np.mean(list(DIFFERENCES.values())))


def test_it_says_when_there_is_nothing_to_say():
    differences = {key: value * (-1) ** place for place, (key, value) in enumerate(DIFFERENCES.items())}
    sentence = compare(frame_of(differences), better="soft", other="none", metric="P-AP").sentence()
    assert sentence.endswith("not significant.")


def test_one_pair_has_no_interval():
    found = compare(frame_of({(1, "a"): 0.1}), better="soft", other="none", metric="P-AP")
    assert math.isnan(found.low)
    assert "one pair only" in found.sentence()


def test_missing_variants_are_named():
    with pytest.raises(InputError, match="no runs of both 'soft' and 'hard'; there are none, soft"):
        compare(frame_of(DIFFERENCES), better="soft", other="hard", metric="P-AP")


def test_copies_of_what_no_seed_changes_are_one_pair_a_category():
    once = {(1, "a"): 0.10, (1, "b"): 0.14, (1, "c"): 0.06}
    thrice = {(seed, category): value for seed in (1, 3, 5) for (_, category), value in once.items()}
    found = compare(frame_of(thrice), better="soft", other="none", metric="P-AP")
    expected = compare(frame_of(once), better="soft", other="none", metric="P-AP")
    assert found.pairs == 3
    assert (found.difference, found.low, found.high) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )

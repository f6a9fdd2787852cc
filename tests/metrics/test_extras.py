"""AUPRO up to the rate 0.05, and AUPIMO."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metauas.metrics import EXTRAS, METRICS, compute_metrics
from metauas.metrics.pro import AUPIMO_RATES, aupimo, image_shares, overlap_at_levels
from metauas.metrics.ranking import Ranking, auroc, rank

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "metrics"


def per_image_curve(maps, masks):
    """Rate on unmasked images and mean recall over masked images, at every threshold, one by one."""
    normal = maps[~masks.any(axis=(1, 2))]
    found = [values[mask] for values, mask in zip(maps, masks, strict=True) if mask.any()]
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        recall = np.mean([np.mean(values >= threshold) for values in found])
        points.append((np.mean(normal >= threshold), recall))
    return np.array(points).T


def slow_aupimo(maps, masks, rates):
    """Mean height over the logarithm of the rate, piece by piece of the curve."""
    (rate, recall), (low, high) = per_image_curve(maps, masks), rates
    area = 0.0
    for x0, x1, y0, y1 in zip(rate, rate[1:], recall, recall[1:], strict=False):
        left, right = max(x0, low), min(x1, high)
        if left < right:
            slope = (y1 - y0) / (x1 - x0)
            area += (y0 - slope * x0) * math.log(right / left) + slope * (right - left)
    return area / math.log(high / low)


def our_aupimo(maps, masks, rates):
    normal = maps[~masks.any(axis=(1, 2))]
    ranking = rank(maps[masks], list(normal.reshape(len(normal), -1)), n_negatives=normal.size)
    return aupimo(ranking, overlap_at_levels(ranking.levels, list(maps), list(masks), shares=image_shares), rates=rates)


@st.composite
def categories(draw):
    """One normal and one anomalous image at least, with few or many ties."""
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    maps = draw(arrays(np.int64, shape, elements=st.integers(0, levels - 1))).astype(np.float32) / np.float32(levels)
    masks = draw(arrays(np.bool_, shape))
    masks[0], masks[1, 0, 0] = False, True
    return maps, masks


@given(categories(), st.sampled_from([AUPIMO_RATES, (0.01, 0.1), (0.1, 0.9), (0.25, 1.0)]))
@settings(deadline=None, max_examples=150)
def test_aupimo_is_the_mean_height_of_the_curve_of_all_thresholds(category, rates):
    maps, masks = category
    assert our_aupimo(maps, masks, rates) == pytest.approx(slow_aupimo(maps, masks, rates), abs=1e-12)


@pytest.fixture(scope="module")
def large():
    """Enough normal pixels to resolve the rates of AUPIMO: 1e-5 are five of them."""
    rng = np.random.default_rng(0)
    masks = np.zeros((10, 256, 256), dtype=bool)
    masks[:2, 20:60, 30:60] = True
    maps = rng.standard_normal(masks.shape, dtype=np.float32) + 4 * masks
    return maps, masks, masks.any(axis=(1, 2))


def test_aupimo_is_near_the_trapezoids_over_the_log_of_the_rate(large):
    maps, masks, labels = large
    normal, (low, high) = np.sort(maps[~labels], axis=None)[::-1], AUPIMO_RATES
    rank_of = np.arange(math.ceil(low * normal.size), math.floor(high * normal.size) + 1)
    recall = [np.mean([(maps[i][masks[i]] >= normal[k - 1]).mean() for i in (0, 1)]) for k in rank_of]
    expected = np.trapezoid(recall, np.log(rank_of / normal.size)) / math.log(high / low)
    found = compute_metrics(maps, masks, labels, extras=True)["AUPIMO"]
    assert 0.2 < found < 0.8
    # the trapezoids leave out the ends between the bounds and the first and last whole pixel, up to a fifth of log 10
    assert found == pytest.approx(expected, abs=0.03)


def test_extras_follow_the_seven_and_change_none(large):
    maps, masks, labels = large
    found = compute_metrics(maps, masks, labels, extras=True)
    assert tuple(found) == METRICS + EXTRAS
    assert {name: found[name] for name in METRICS} == compute_metrics(maps, masks, labels)
    assert found["AUPRO@0.05"] == compute_metrics(maps, masks, labels, pro_limit=0.05)["AUPRO"]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"no reference values in {REFERENCE}")
def test_aupro_at_5_percent_has_the_reference_values():
    spec = json.loads((REFERENCE / "cases.json").read_text())
    with np.load(REFERENCE / "cases.npz") as file:
        data = dict(file)
    compared = 0
    for name, case in spec["categories"].items():
        expected = (case.get("mvtec_pro") or {}).get("p_aupro_0.05")
        chosen = data["category"] == name
        maps, masks, labels = (data[key][chosen] for key in ("scores", "masks", "labels"))
        if isinstance(case["expect"], dict) and isinstance(expected, float) and masks.any():
            found = compute_metrics(maps, masks > 0, labels > 0, extras=True)["AUPRO@0.05"]
            np.testing.assert_allclose(found, expected, rtol=0, atol=_pro_tolerance(spec), err_msg=name)
            compared += 1
    assert compared > 5


def _pro_tolerance(spec):
    return spec["tolerance"]["p_aupro vs mvtec_pro (float32 FPR)"]


def test_perfect_maps_score_1():
    masks = np.zeros((3, 8, 8), dtype=bool)
    masks[0, 2:4, 2:5] = True
    found = compute_metrics(masks.astype(np.float32), masks, masks.any(axis=(1, 2)), extras=True)
    assert [found[name] for name in EXTRAS] == pytest.approx([1.0, 1.0], abs=1e-15)


def test_constant_maps_are_at_chance():
    masks = np.zeros((3, 8, 8), dtype=bool)
    masks[0, 2:4, 2:5] = True
    found = compute_metrics(np.ones(masks.shape, dtype=np.float32), masks, masks.any(axis=(1, 2)), extras=True)
    low, high = AUPIMO_RATES
    assert found["AUPRO@0.05"] == pytest.approx(0.025, abs=1e-15)
    assert found["AUPIMO"] == pytest.approx((high - low) / math.log(high / low), abs=1e-15)


def test_every_anomalous_image_weighs_the_same():
    masks = np.zeros((3, 4, 4), dtype=bool)
    masks[0, 0, 0] = masks[1] = True
    maps = np.zeros(masks.shape, dtype=np.float32)
    maps[0, 0, 0], maps[2] = 1.0, 0.5  # one pixel is found before any normal one, sixteen are not
    assert compute_metrics(maps, masks, masks.any(axis=(1, 2)), extras=True)["AUPIMO"] == 0.5


def test_images_labelled_anomalous_without_a_mask_are_not_normal(large):
    maps, masks, labels = large
    few, marked = maps.copy(), labels.copy()
    few[9], marked[9] = 100.0, True  # were it normal, nothing would be found before it
    expected = our_aupimo(maps[:9], masks[:9], AUPIMO_RATES)
    assert compute_metrics(few, masks, marked, extras=True)["AUPIMO"] == expected


def test_masks_on_images_labelled_normal_count_as_defects(large):
    maps, masks, labels = large
    expected = compute_metrics(maps, masks, labels, extras=True)
    found = compute_metrics(maps, masks, np.zeros_like(labels), extras=True)
    assert {name: found[name] for name in EXTRAS} == {name: expected[name] for name in EXTRAS}


@pytest.mark.parametrize("masked", [False, True])
def test_undefined_without_a_mask_or_a_normal_image(masked):
    masks = np.full((2, 4, 4), masked)
    maps = np.linspace(0, 1, masks.size, dtype=np.float32).reshape(masks.shape)
    found = compute_metrics(maps, masks, masks.any(axis=(1, 2)), extras=True)
    assert all(math.isnan(found[name]) for name in EXTRAS)


@pytest.mark.parametrize("times", [1, 10**6, 10**11])
def test_auroc_counts_more_pairs_than_an_integer_of_64_bits(times):
    """As of all pixels of a large benchmark: the share of pairs in the right order, not their number."""
    found = auroc(
        Ranking(
            levels=np.array([0.2, 0.8]),
            positives_at=np.array([1, 3]) * times,
            negatives_from=np.array([3, 1]) * times,
            negatives_above=np.array([2, 1]) * times,
            n_negatives=4 * times,
        )
    )
    assert found == ((1 + 0.5 * 1) * 1 + 3 * 3) / 16

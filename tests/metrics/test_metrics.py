import inspect
import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from metauas.errors import InputError
from metauas.metrics import EXTRAS, METRICS, average_metrics, compute_metrics

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "metrics"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"no reference values in {REFERENCE}")
CASES = [
    "plain", "quantized32", "float16_ties", "all_anomalous", "no_anomaly", "constant", "diagonal", "perfect",
    "inverted", "tiny_border", "logits_signed_zero", "label_mask_mismatch", "saturated", "single_image",
]  # fmt: skip

# what users get: without the shape checks of the test run, which would speak first
unchecked_metrics = inspect.unwrap(compute_metrics)


def slow_ranking(scores, positive):
    """AUROC, AP and F1max by scikit-learn."""
    precision, recall, _ = precision_recall_curve(positive, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    auroc = roc_auc_score(positive, scores) if not positive.all() else math.nan
    return auroc, average_precision_score(positive, scores), f1.max()


def slow_aupro(maps, masks, limit):
    """AUPRO from the curve over all thresholds, one by one, with regions by SciPy."""
    regions = []
    for index, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [maps[index][labels == label] for label in range(1, count + 1)]
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        overlap = np.mean([np.mean(region >= threshold) for region in regions])
        points.append((np.mean(maps[~masks] >= threshold), overlap))
    rate, overlap = np.array(points).T
    inside = rate < limit
    # the straight piece that crosses the limit starts at the last point before it
    first = np.flatnonzero(~inside)[0]
    share = (limit - rate[first - 1]) / (rate[first] - rate[first - 1])
    at_limit = overlap[first - 1] + share * (overlap[first] - overlap[first - 1])
    return np.trapezoid([*overlap[inside], at_limit], [*rate[inside], limit]) / limit


@st.composite
def categories(draw):
    """Maps with few or many ties, and masks with at least one masked and one unmasked pixel."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    maps = draw(arrays(np.int64, shape, elements=st.integers(0, levels - 1))).astype(dtype) / dtype(levels)
    masks = draw(arrays(np.bool_, shape).filter(lambda mask: mask.any() and not mask.all()))
    return maps, masks, masks.any(axis=(1, 2))


def random_category(n=3, size=8, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, size, size), dtype=bool)
    masks[0, 1:4, 2:5] = True
    return rng.random(masks.shape, dtype=np.float32), masks, masks.any(axis=(1, 2))


@given(categories())
@settings(deadline=None, max_examples=150)
def test_ranking_metrics_are_those_of_scikit_learn(category):
    maps, masks, labels = category
    expected = [*slow_ranking(maps.max(axis=(1, 2)), labels), *slow_ranking(maps.ravel(), masks.ravel())]
    found = list(compute_metrics(maps, masks, labels).values())[:6]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@st.composite
def degenerate_categories(draw):
    """Any masks and any labels, which need not agree, one class only included; both zeros, few values."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    values = draw(st.sampled_from([[0.25], [-0.0, 0.0], [-1.0, -0.0, 0.0, 0.5, 1.0]]))
    maps = draw(arrays(dtype, shape, elements=st.sampled_from(values)))
    masks = draw(st.one_of(arrays(np.bool_, shape), st.sampled_from([np.zeros(shape, bool), np.ones(shape, bool)])))
    return maps, masks, draw(arrays(np.bool_, shape[:1]))


@given(degenerate_categories())
@settings(deadline=None, max_examples=200)
def test_degenerate_categories_have_scikit_learns_values_or_none(category):
    maps, masks, labels = category
    expected = []
    for scores, positive in ((maps.max(axis=(1, 2)), labels), (maps.ravel(), masks.ravel())):
        expected += slow_ranking(scores, positive) if positive.any() else [math.nan] * 3
    found = compute_metrics(maps, masks, labels)
    np.testing.assert_allclose(list(found.values())[:6], expected, rtol=0, atol=1e-12)
    defined = masks.any() and not masks.all()
    np.testing.assert_allclose(found["AUPRO"], slow_aupro(maps, masks, 0.3) if defined else math.nan, atol=1e-12)


@given(categories(), st.sampled_from([0.05, 0.3, 0.5, 1.0]))
@settings(deadline=None, max_examples=150)
def test_aupro_is_the_area_under_the_curve_of_all_thresholds(category, limit):
    maps, masks, labels = category
    found = compute_metrics(maps, masks, labels, pro_limit=limit)["AUPRO"]
    assert found == pytest.approx(slow_aupro(maps, masks, limit), abs=1e-12)


@given(categories())
@settings(deadline=None, max_examples=50)
def test_only_the_order_of_the_scores_counts(category):
    maps, masks, labels = category
    shifted = compute_metrics(maps * 8 - 3, masks, labels)
    np.testing.assert_equal(shifted, compute_metrics(maps, masks, labels))


@needs_reference
@pytest.mark.parametrize("name", CASES)
def test_reference_values(name):
    data, spec = _reference()
    case = data["category"] == name
    maps, masks, labels = data["scores"][case], data["masks"][case] > 0, data["labels"][case] > 0
    expect = spec["categories"][name]["expect"]
    expected = [float(expect[key]) for key in spec["order"]]
    found = list(compute_metrics(maps, masks, labels).values())
    np.testing.assert_allclose(found, expected, rtol=0, atol=spec["tolerance"]["p_aupro vs exact_longdouble"])


@needs_reference
def test_every_reference_case_is_tested():
    spec = _reference()[1]["categories"]
    assert set(CASES) == {name for name, case in spec.items() if isinstance(case["expect"], dict)}


@needs_reference
@pytest.mark.parametrize(("limit", "key"), [(0.05, "p_aupro_0.05"), (1.0, "p_aupro_1.0")])
@pytest.mark.parametrize("name", ["plain", "quantized32", "saturated"])
def test_reference_aupro_at_other_limits(name, limit, key):
    data, spec = _reference()
    case = data["category"] == name
    maps, masks, labels = data["scores"][case], data["masks"][case] > 0, data["labels"][case] > 0
    tolerance = spec["tolerance"]["p_aupro vs mvtec_pro (float32 FPR)"]
    expected = spec["categories"][name]["mvtec_pro"][key]
    found = compute_metrics(maps, masks, labels, pro_limit=limit)["AUPRO"]
    assert found == pytest.approx(expected, abs=tolerance)


def _reference():
    with np.load(REFERENCE / "cases.npz") as data:
        return dict(data), json.loads((REFERENCE / "cases.json").read_text())


def test_names_and_order():
    assert tuple(compute_metrics(*random_category())) == METRICS


def test_inputs_are_left_as_they_were():
    category = random_category()
    copies = [array.copy() for array in category]
    compute_metrics(*category)
    for array, copy in zip(category, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_regions_touching_at_a_corner_are_one():
    mask = np.eye(4, dtype=bool)[None]
    maps = np.zeros((1, 4, 4), dtype=np.float32)
    maps[0, 0, 0] = 1.0
    # one region of 4 pixels, a quarter found at once; the rest in the tie of all other pixels
    expected = 1 / 4 + 3 / 4 * 0.3 / 2
    assert compute_metrics(maps, mask, np.array([True]))["AUPRO"] == pytest.approx(expected, abs=1e-15)


def test_every_region_weighs_the_same_in_aupro():
    maps = np.zeros((2, 4, 4), dtype=np.float32)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[0, 0, 0] = masks[1, :, :2] = True
    maps[0, 0, 0] = 1.0  # the small region is found, the large one lies in the tie
    expected = 1 / 2 + 1 / 2 * 0.3 / 2
    assert compute_metrics(maps, masks, np.array([True, True]))["AUPRO"] == pytest.approx(expected, abs=1e-15)


def test_constant_maps_are_one_tie():
    _, masks, labels = random_category()
    maps = np.full(masks.shape, 0.7, dtype=np.float32)
    found = compute_metrics(maps, masks, labels)
    assert found["I-AUROC"] == found["P-AUROC"] == 0.5
    assert found["I-AP"] == labels.mean()
    assert found["P-AP"] == masks.mean()
    assert found["AUPRO"] == pytest.approx(0.15, abs=1e-15)


def test_without_anomalies_all_is_undefined():
    maps, masks, labels = random_category()
    found = compute_metrics(maps, np.zeros_like(masks), np.zeros_like(labels))
    assert all(math.isnan(value) for value in found.values())


def test_anomalous_images_without_masks_leave_the_image_metrics():
    maps, masks, labels = random_category()
    found = compute_metrics(maps, np.zeros_like(masks), labels)
    assert [name for name, value in found.items() if math.isnan(value)] == list(METRICS[3:])


def test_positives_only():
    maps, masks, labels = random_category()
    found = compute_metrics(maps, np.ones_like(masks), np.ones_like(labels))
    undefined = [name for name, value in found.items() if math.isnan(value)]
    assert undefined == ["I-AUROC", "P-AUROC", "AUPRO"]
    assert found["I-AP"] == found["I-F1max"] == found["P-AP"] == found["P-F1max"] == 1


def test_infinite_scores_are_ranked():
    maps, masks, labels = random_category()
    maps[masks], maps[2] = np.inf, -np.inf
    assert set(compute_metrics(maps, masks, labels).values()) == {1.0}


def test_image_scores_replace_the_maximum():
    maps, masks, labels = random_category()
    given_scores = compute_metrics(maps, masks, labels, scores=-maps.max(axis=(1, 2)))
    default = compute_metrics(maps, masks, labels)
    assert given_scores["I-AUROC"] == 1 - default["I-AUROC"] != 0.5
    assert list(given_scores.values())[3:] == list(default.values())[3:]


def test_nan_is_an_error_that_names_the_image():
    maps, masks, labels = random_category()
    maps[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="maps hold NaN at image index 1 "):
        compute_metrics(maps, masks, labels)
    scores = np.array([0.0, 1.0, np.nan])
    with pytest.raises(InputError, match="scores hold NaN at image index 2 "):
        compute_metrics(np.nan_to_num(maps), masks, labels, scores=scores)


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.5, math.nan])
def test_limit_outside_its_range(limit):
    with pytest.raises(InputError, match=r"pro_limit=.*\(0, 1\]"):
        compute_metrics(*random_category(), pro_limit=limit)


def test_arrays_that_do_not_fit():
    maps, masks, labels = random_category()
    with pytest.raises(InputError, match="maps have the shape"):
        unchecked_metrics(maps[0], masks, labels)
    with pytest.raises(InputError, match="at least one image"):
        unchecked_metrics(maps[:0], masks[:0], labels[:0])
    with pytest.raises(InputError, match="masks have the shape"):
        unchecked_metrics(maps, masks[:2], labels)
    with pytest.raises(InputError, match="labels have the shape"):
        unchecked_metrics(maps, masks, labels[:2])
    with pytest.raises(InputError, match="scores have the shape"):
        unchecked_metrics(maps, masks, labels, scores=np.zeros(2))
    with pytest.raises(InputError, match="masks are uint8, not boolean"):
        unchecked_metrics(maps, masks.astype(np.uint8), labels)
    with pytest.raises(InputError, match="labels are int64, not boolean"):
        unchecked_metrics(maps, masks, labels.astype(np.int64))


@pytest.mark.parametrize("values", [2**24, 256, 1])
def test_extra_memory_stays_below_two_and_a_half_times_the_scores(values):
    rng = np.random.default_rng(0)
    masks = np.zeros((40, 128, 128), dtype=bool)
    masks[::2, 20:50, 30:60] = True
    smooth = rng.random(masks.shape, dtype=np.float32) ** 2 * (1 + masks) / 2
    maps = np.ceil(smooth * values) / np.float32(values)
    labels = masks.any(axis=(1, 2))
    tracemalloc.start()
    compute_metrics(maps, masks, labels, extras=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * maps.nbytes


def test_extras_are_averaged_too():
    two = dict.fromkeys((*METRICS, *EXTRAS), 0.5)
    assert tuple(average_metrics({"one": two, "two": two})) == METRICS + EXTRAS
    with pytest.raises(InputError, match=r"category two lacks AUPRO@0.05, AUPIMO"):
        average_metrics({"one": two, "two": dict.fromkeys(METRICS, 0.5)})


def test_average_leaves_undefined_values_out():
    one = dict.fromkeys(METRICS, 0.5) | {"I-AUROC": math.nan, "AUPRO": math.nan}
    two = dict.fromkeys(METRICS, 1.0) | {"AUPRO": math.nan}
    mean = average_metrics({"one": one, "two": two})
    assert tuple(mean) == METRICS
    assert mean["I-AUROC"] == 1.0
    assert mean["P-AP"] == 0.75
    assert math.isnan(mean["AUPRO"])


def test_average_of_nothing():
    with pytest.raises(InputError, match="no category"):
        average_metrics({})

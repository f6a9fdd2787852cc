import inspect
import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metauas.errors import InputError
from metauas.metrics import EXTRAS, METRICS, ExactMetrics, StreamingMetrics, compute_metrics
from metauas.metrics.accumulate import Accumulator

ACCUMULATORS = [ExactMetrics, StreamingMetrics]


@pytest.fixture(scope="module")
def category():
    """Maps as a network gives them: smooth noise, blurred defects, sigmoid; every second image is anomalous."""
    rng = np.random.default_rng(0)
    masks = np.zeros((24, 128, 128), dtype=bool)
    maps = np.empty(masks.shape, dtype=np.float32)
    for index in range(len(maps)):
        for row, column in rng.integers(0, 110, (index % 2 * 2, 2)):
            masks[index, row : row + 18, column : column + 12] = True
        noise = cv2.GaussianBlur(rng.standard_normal((128, 128), dtype=np.float32), (0, 0), 3)
        defects = cv2.GaussianBlur(masks[index].astype(np.float32), (0, 0), 2)
        maps[index] = 1 / (1 + np.exp(5 - 1.5 * noise / noise.std() - 6 * defects))
    return maps, masks, masks.any(axis=(1, 2))


def filled(accumulator, category, order=None):
    maps, masks, labels = category
    for index in range(len(maps)) if order is None else order:
        accumulator.update(maps[index], masks[index], labels[index])
    return accumulator


def test_exact_is_compute_metrics(category):
    found = filled(ExactMetrics(), category)
    assert found.n_images == 24
    assert found.result() == compute_metrics(*category)
    assert found.result(pro_limit=0.1, extras=True) == compute_metrics(*category, pro_limit=0.1, extras=True)


def test_exact_keeps_its_own_copy(category):
    maps, masks, labels = category
    given_map, given_mask = maps[1].copy(), masks[1].copy()
    exact = filled(ExactMetrics(), category, order=[0])
    exact.update(given_map, given_mask, labels[1])
    given_map[:], given_mask[:] = 0.0, False  # a loop may use its buffers again
    assert exact.result() == compute_metrics(maps[:2], masks[:2], labels[:2])


def test_exact_takes_images_of_several_sizes(category):
    maps, masks, labels = category
    exact = ExactMetrics()
    exact.update(maps[1, :64], masks[1, :64], labels[1])
    exact.update(maps[1, 64:], masks[1, 64:], labels[1])
    exact.update(maps[0], masks[0], labels[0])
    whole = compute_metrics(maps[:2], masks[:2], labels[:2])
    found = exact.result()
    assert [found[name] for name in METRICS[3:6]] == [whole[name] for name in METRICS[3:6]]


def test_streaming_is_within_1e_5_of_exact(category):
    found, expected = filled(StreamingMetrics(), category).result(), compute_metrics(*category)
    assert tuple(found) == METRICS
    assert [found[name] for name in METRICS[:3]] == [expected[name] for name in METRICS[:3]]
    errors = [abs(found[name] - expected[name]) for name in METRICS]
    assert 0 < max(errors) < 1e-5


def test_streaming_improves_with_the_bins(category):
    expected = compute_metrics(*category)["P-AP"]
    errors = [
        abs(filled(StreamingMetrics(n_bins=bins), category).result()["P-AP"] - expected)
        for bins in (2**8, 2**12, 2**16)
    ]
    assert errors[0] > 4 * errors[1] > 16 * errors[2] > 0


def test_streaming_is_exact_if_the_scores_lie_on_the_bins(category):
    maps, masks, labels = category
    coarse = np.round(maps * 255) / np.float32(255)
    found = filled(StreamingMetrics(), (coarse, masks, labels)).result()
    expected = compute_metrics(coarse, masks, labels)
    assert found == pytest.approx(expected, abs=1e-10)  # the shares of a region are rounded to 2**-42


@given(st.permutations(range(24)), st.integers(1, 24))
@settings(deadline=None, max_examples=10)
def test_streaming_depends_on_neither_order_nor_pauses(category, order, pause):
    in_order = filled(StreamingMetrics(), category).result()
    shuffled = StreamingMetrics()
    for first in range(0, 24, pause):  # as batches would do it
        filled(shuffled, category, order=order[first : first + pause])
        shuffled.result()
    assert shuffled.result() == in_order


def test_streaming_memory_does_not_grow(category):
    held = []
    for repeats in (1, 4):
        tracemalloc.start()
        streaming = StreamingMetrics()
        for _ in range(repeats):
            filled(streaming, category)
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert (
        held[1] - held[0] < 100 * 72
    )  # bytes for the scores and labels of 72 images, and nothing for 1.2 million pixels


def test_streaming_takes_any_finite_range(category):
    maps, masks, labels = category
    logits = np.log(maps / (1 - maps))
    streaming = StreamingMetrics(lowest=-30.0, highest=30.0)
    found, expected = filled(streaming, (logits, masks, labels)).result(), compute_metrics(logits, masks, labels)
    assert found == pytest.approx(expected, abs=1e-3)  # the bins are as wide


def test_streaming_takes_half_precision(category):
    maps, masks, labels = category
    half = maps.astype(np.float16)
    expected = compute_metrics(half, masks, labels)
    assert filled(StreamingMetrics(), (half, masks, labels)).result() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.inf])
def test_streaming_refuses_scores_outside_its_range(category, value):
    maps, masks, labels = category
    streaming = filled(StreamingMetrics(), category, order=[0, 1])
    before, outside = streaming.result(), maps[2].copy()
    outside[3, 4] = value
    with pytest.raises(InputError, match=r"set lowest and highest, now 0 and 1$"):
        streaming.update(outside, masks[2], labels[2])
    assert streaming.result() == before
    assert streaming.n_images == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lowest": 1.0, "highest": 1.0}, "lower one first"),
        ({"lowest": -math.inf}, "finite"),
        ({"n_bins": 0}, "at least 1"),
    ],
)
def test_streaming_refuses_what_is_no_range(settings, words):
    with pytest.raises(InputError, match=words):
        StreamingMetrics(**settings)


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_image_scores_may_be_given(kind, category):
    maps, masks, labels = category
    accumulator, scores = kind(), -maps.max(axis=(1, 2))
    for index in range(len(maps)):
        accumulator.update(maps[index], masks[index], labels[index], score=scores[index].item())
    expected = compute_metrics(maps, masks, labels, scores=scores)
    assert accumulator.result() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_what_is_undefined_is_nan(kind, category):
    maps, masks, labels = category
    normal = filled(kind(), (maps, np.zeros_like(masks), np.zeros_like(labels)), order=range(3)).result()
    assert all(math.isnan(value) for value in normal.values())
    only = filled(kind(), (maps, np.ones_like(masks), np.ones_like(labels)), order=range(3)).result()
    assert [name for name in METRICS if math.isnan(only[name])] == ["I-AUROC", "P-AUROC", "AUPRO"]


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_constant_maps_are_one_tie(kind, category):
    _, masks, labels = category
    found = filled(kind(), (np.full(masks.shape, 0.7, dtype=np.float32), masks, labels)).result()
    assert found["I-AUROC"] == found["P-AUROC"] == 0.5
    assert found["P-AP"] == masks.mean()
    assert found["AUPRO"] == pytest.approx(0.15, abs=1e-9)


def test_extras_of_one_image_are_undefined_without_a_normal_one(category):
    found = filled(ExactMetrics(), category, order=[1]).result(extras=True)
    assert tuple(found) == METRICS + EXTRAS
    assert math.isnan(found["AUPIMO"])
    assert found["AUPRO@0.05"] > 0


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_wrong_input_is_refused(kind, category):
    maps, masks, _ = category
    accumulator = kind()
    update = inspect.unwrap(Accumulator.update)  # what users get: without the shape checks of the test run
    with pytest.raises(InputError, match="call update"):
        accumulator.result()
    with pytest.raises(InputError, match=r"give one \(H, W\)"):
        update(accumulator, maps, masks, True)
    with pytest.raises(InputError, match="at least one pixel"):
        update(accumulator, maps[0, :0], masks[0, :0], True)
    with pytest.raises(InputError, match="resize the mask"):
        update(accumulator, maps[0], masks[0, :5], True)
    with pytest.raises(InputError, match="mask is uint8, not boolean; pass mask > 0"):
        update(accumulator, maps[0], masks[0].astype(np.uint8), True)
    with pytest.raises(InputError, match="image index 0 is NaN"):
        update(accumulator, np.full_like(maps[0], math.nan), masks[0], True)
    with pytest.raises(InputError, match="image index 0 is NaN"):
        update(accumulator, maps[0], masks[0], True, score=math.nan)
    update(accumulator, maps[0], masks[0], True)
    with pytest.raises(InputError, match="pro_limit"):
        accumulator.result(pro_limit=0.0)
    assert accumulator.n_images == 1


def test_parts_that_are_put_together_are_the_whole():
    rng = np.random.default_rng(0)
    maps, masks = rng.random((6, 9, 8)), rng.random((6, 9, 8)) < 0.2
    labels = np.array([True, False, True, True, False, True])
    masks &= labels[:, None, None]
    whole, parts = StreamingMetrics(), [StreamingMetrics(), StreamingMetrics()]
    for i, (values, mask, label) in enumerate(zip(maps, masks, labels, strict=True)):
        whole.update(values, mask, label)
        parts[i % 2].update(values, mask, label)
    assert StreamingMetrics.merged(parts).result() == whole.result()
    assert StreamingMetrics.merged(parts[::-1]).n_images == 6


@pytest.mark.parametrize(
    ("parts", "message"),
    [([], "0 parts with 0 kinds of bins"), ([StreamingMetrics(), StreamingMetrics(n_bins=8)], "2 parts with 2 kinds")],
    ids=["none", "other bins"],
)
def test_parts_that_do_not_fit_together(parts, message):
    with pytest.raises(InputError, match=message):
        StreamingMetrics.merged(parts)

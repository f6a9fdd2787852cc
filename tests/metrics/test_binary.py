"""SegF1: the F1 score of all pixels at a fixed threshold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metauas.errors import InputError
from metauas.metrics import compute_metrics, segmentation_f1


def slow_f1(maps, masks, threshold):
    """Precision and recall, pixel by pixel."""
    pairs = [(float(score) > threshold, bool(marked)) for score, marked in zip(maps.flat, masks.flat, strict=True)]
    hits = pairs.count((True, True))
    if not hits:
        return 0.0
    precision = hits / (hits + pairs.count((True, False)))
    recall = hits / (hits + pairs.count((False, True)))
    return 2 * precision * recall / (precision + recall)


@st.composite
def categories(draw):
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    maps = draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    masks = draw(arrays(np.bool_, shape))
    masks[0, 0, 0] = True
    return maps, masks


@given(categories(), st.floats(0, 1))
@settings(deadline=None, max_examples=150)
def test_it_is_the_harmonic_mean_of_precision_and_recall(category, threshold):
    maps, masks = category
    labels = masks.any(axis=(1, 2))
    found = segmentation_f1(maps, masks, labels, threshold=threshold)
    assert found == pytest.approx(slow_f1(maps, masks, threshold), abs=1e-12)
    assert found <= compute_metrics(maps, masks, labels)["P-F1max"] + 1e-12


def test_a_score_equal_to_the_threshold_is_not_above_it():
    maps = np.array([[[0.1, 0.9]]], dtype=np.float32)
    masks = np.array([[[False, True]]])
    labels = np.array([True])
    assert segmentation_f1(maps, masks, labels, threshold=float(maps[0, 0, 0])) == 1.0
    assert segmentation_f1(maps, masks, labels, threshold=float(maps[0, 0, 1])) == 0.0
    # 0.1 is below the float32 nearest to it, so that both pixels are above
    assert segmentation_f1(maps, masks, labels, threshold=0.1) == pytest.approx(2 / 3)


def test_it_is_undefined_without_masked_pixels_and_refuses_nan():
    maps, masks = np.ones((1, 2, 2), np.float32), np.zeros((1, 2, 2), bool)
    assert math.isnan(segmentation_f1(maps, masks, np.array([False]), threshold=0.5))
    maps[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        segmentation_f1(maps, masks, np.array([False]), threshold=0.5)

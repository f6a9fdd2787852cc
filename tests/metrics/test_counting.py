import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from metauas.metrics.counting import Bins, count_beyond

SCORES = st.one_of(
    st.sampled_from([-np.inf, -1e300, -1.0, -1e-300, -0.0, 0.0, 1e-300, 0.5, 1.0, 1e300, np.inf]),
    st.floats(allow_nan=False),
)


@st.composite
def levels_and_scores(draw):
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    width = np.finfo(dtype).bits
    values = st.floats(allow_nan=False, width=width) if width < 64 else SCORES
    scores = draw(arrays(dtype, array_shapes(max_dims=1, max_side=60), elements=values))
    others = draw(arrays(dtype, array_shapes(max_dims=1, max_side=20), elements=values))
    return np.unique(np.concatenate([others, draw(st.sampled_from([scores[:5], scores[:0]]))])), scores


@given(levels_and_scores(), st.integers(1, 4), st.sampled_from([1, 60, 2**22]))
@settings(deadline=None, max_examples=200)
def test_counts_are_those_of_comparing_every_score(case, pieces, n_scores):
    levels, scores = case
    at_least, above = count_beyond(levels, np.array_split(scores, pieces), n_scores=n_scores)
    np.testing.assert_array_equal(at_least, (scores[:, None] >= levels).sum(axis=0))
    np.testing.assert_array_equal(above, (scores[:, None] > levels).sum(axis=0))


@given(levels_and_scores(), st.integers(1, 19))
@settings(deadline=None, max_examples=100)
def test_bins_keep_the_order(case, bits):
    levels, scores = case
    bins = Bins.around(levels, bits=bits)
    index = bins.index(np.sort(scores)).astype(np.int64)
    assert (np.diff(index) >= 0).all()
    assert index.max() < bins.number <= 2**bits + 3


def test_without_levels_or_scores():
    nothing = np.zeros(0, dtype=np.float32)
    levels = np.array([0.25, 0.5], dtype=np.float32)
    assert [len(counts) for counts in count_beyond(nothing, [levels], n_scores=2)] == [0, 0]
    assert [list(counts) for counts in count_beyond(levels, [], n_scores=0)] == [[0, 0], [0, 0]]


@pytest.mark.parametrize("n_levels", [3, 3000])
def test_most_scores_need_no_sorting(n_levels):
    rng = np.random.default_rng(0)
    levels = np.unique(rng.uniform(0.5, 1, n_levels).astype(np.float32))
    bins = Bins.around(levels, bits=19)
    shared = np.isin(bins.index(rng.random(100_000, dtype=np.float32)), bins.index(levels)).mean()
    assert shared <= n_levels / 2**18

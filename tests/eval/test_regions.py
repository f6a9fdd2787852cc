import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metauas.eval import find_regions
from metauas.eval.images.regions import enlarge_map

SIDES = st.integers(1, 12)
#: Few different values, so that ties and values at the threshold are common.
LEVELS = st.integers(0, 8).map(lambda level: np.float32(level / 8))
MAPS = hnp.arrays(np.float32, st.tuples(SIDES, SIDES), elements=LEVELS)

#: The first call of a process may be slow, which says nothing.
in_any_time = settings(deadline=None)


def drawn(rows):
    """A map from digits: 7 stands for 0.7, a dot for 0."""
    return np.array([[0 if c == "." else int(c) / 10 for c in row] for row in rows.split()], dtype=np.float32)


def filled(region, shape):
    """The pixels within a region's outer contour; holes stay filled."""
    canvas = np.zeros(shape, dtype=np.uint8)
    cv2.drawContours(canvas, list(region.contours), 0, 1, cv2.FILLED)
    return canvas.astype(bool)


def test_regions_of_a_hand_made_map():
    first, second = find_regions(drawn("7.... ..... ...89 ...8. 4...."), 0.5)
    assert (first.x, first.y, first.width, first.height, first.area) == (3, 2, 2, 2, 3)
    assert (first.score, first.mean) == (pytest.approx(0.9), pytest.approx(2.5 / 3))
    assert (second.x, second.y, second.width, second.height, second.area) == (0, 0, 1, 1, 1)
    assert (first.share, second.share) == (3 / 25, 1 / 25)


def test_diagonal_neighbours_are_one_region():
    assert [region.area for region in find_regions(drawn("7.. .7. ..7"), 0.5)] == [3]


def test_pixels_at_the_threshold_are_not_above_it():
    anomaly_map = np.full((3, 3), 0.1, dtype=np.float32)
    assert find_regions(anomaly_map, float(anomaly_map[0, 0])) == []
    # 0.1 in float32 is a little more than 0.1
    assert len(find_regions(anomaly_map, 0.1)) == 1


def test_small_regions_can_be_left_out():
    anomaly_map = drawn("9..77 ...77 8....")
    assert [region.area for region in find_regions(anomaly_map, 0.5)] == [1, 1, 4]
    assert [region.area for region in find_regions(anomaly_map, 0.5, min_area=2)] == [4]


def test_a_region_with_a_hole_has_two_contours():
    (ring,) = find_regions(drawn("77777 7...7 7...7 7...7 77777"), 0.5)
    assert len(ring.contours) == 2
    assert sorted(map(tuple, ring.contours[0].tolist())) == [(0, 0), (0, 4), (4, 0), (4, 4)]


def test_an_empty_map_has_no_regions_and_a_full_one_has_one():
    assert find_regions(np.zeros((4, 6), dtype=np.float32), 0.0) == []
    (whole,) = find_regions(np.ones((4, 6), dtype=np.float32), 0.5)
    assert (whole.area, whole.share, whole.score, whole.mean) == (24, 1, 1, 1)


def test_regions_of_one_score_stand_in_reading_order():
    regions = find_regions(drawn("..7.7 ..... 7.... ....7"), 0.5)
    assert [(region.x, region.y) for region in regions] == [(2, 0), (4, 0), (0, 2), (4, 3)]


@in_any_time
@given(MAPS, LEVELS)
def test_areas_sum_to_what_is_above_the_threshold_and_regions_are_disjoint(anomaly_map, threshold):
    regions = find_regions(anomaly_map, float(threshold))
    above = anomaly_map > threshold
    assert sum(region.area for region in regions) == above.sum()
    assert sum(region.share for region in regions) == pytest.approx(above.mean())
    covered = np.zeros(anomaly_map.shape, dtype=int)
    for region in regions:
        inside = filled(region, anomaly_map.shape) & above
        box = inside[region.y : region.y + region.height, region.x : region.x + region.width]
        assert box.sum() == inside.sum() >= region.area  # more only where another region lies in its hole
        covered += inside
    assert ((covered > 0) == above).all()


@in_any_time
@given(MAPS, LEVELS)
def test_scores_fall_and_the_first_is_the_maps(anomaly_map, threshold):
    regions = find_regions(anomaly_map, float(threshold))
    scores = [region.score for region in regions]
    assert scores == sorted(scores, reverse=True)
    assert bool(regions) == bool(anomaly_map.max() > threshold)
    assert not regions or scores[0] == anomaly_map.max()
    assert all(threshold < region.mean <= region.score for region in regions)


@in_any_time
@given(MAPS, LEVELS, st.sampled_from([np.fliplr, np.flipud, np.transpose]))
def test_turning_a_map_turns_its_regions(anomaly_map, threshold, turn):
    def facts(some):
        return sorted((r.score, r.area, r.mean) for r in find_regions(np.ascontiguousarray(some), float(threshold)))

    assert np.allclose(facts(anomaly_map), facts(turn(anomaly_map)), rtol=1e-12)


@in_any_time
@given(MAPS, st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_no_size_loses_the_maximum(anomaly_map, size):
    enlarged = enlarge_map(anomaly_map, size)
    assert enlarged.shape == size
    assert enlarged.max() == anomaly_map.max()
    assert enlarged.min() >= anomaly_map.min()


@in_any_time
@given(MAPS)
def test_the_own_size_changes_nothing(anomaly_map):
    assert (enlarge_map(anomaly_map, anomaly_map.shape) == anomaly_map).all()


def test_a_smooth_map_is_enlarged_as_by_interpolation():
    y, x = np.mgrid[:64, :64].astype(np.float32)
    hill = np.exp(-((x - 30) ** 2 + (y - 22) ** 2) / 200)
    plain = cv2.resize(hill, (256, 192), interpolation=cv2.INTER_LINEAR)
    # an eighth of a pixel from the centre the hill's slope, at most 0.061 a pixel, makes this much
    assert np.abs(enlarge_map(hill, (192, 256)) - plain).max() < 0.061 * 0.25

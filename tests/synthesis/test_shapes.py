import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis.drawn.shapes import OUTLINES, draw_shape, fill_polygon


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: outline.__name__)
def test_outlines_reach_about_one_and_enclose_an_area(outline):
    for seed in range(8):
        points = outline(rng_for(outline.__name__, seed))
        assert points.ndim == 2
        assert points.shape[1] == 2
        assert 0.5 < np.hypot(*points.T).max() < 1.5
        x, y = points.T
        area = 0.5 * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))
        assert area > 0.01


def test_blobs_differ_and_reach_exactly_one():
    blob = OUTLINES[-1]
    radii = [np.hypot(*blob(rng_for("blob", seed)).T) for seed in range(5)]
    np.testing.assert_allclose([radius.max() for radius in radii], 1)
    assert all(radius.min() < 0.95 for radius in radii)


@pytest.mark.parametrize("radius", [3.0, 8.0, 20.0])
def test_a_shape_lies_around_its_centre(radius):
    for seed in range(30):
        mask = draw_shape(rng_for("shape", seed), size=96, centre=(30.0, 60.0), radius=radius)
        y, x = np.nonzero(mask)
        assert mask.any()
        assert np.hypot(x - 30, y - 60).max() < 1.5 * radius + 2
        assert mask.sum() < np.pi * (1.5 * radius + 2) ** 2


def test_shapes_beyond_the_picture_are_cut_off():
    mask = draw_shape(rng_for("outside"), size=32, centre=(-100.0, -100.0), radius=5.0)
    assert mask.shape == (32, 32)
    assert not mask.any()


def test_fill_polygon_fills_a_rectangle_with_its_border():
    mask = fill_polygon(np.array([[2, 3], [7, 3], [7, 5], [2, 5]]), size=10)
    expected = np.zeros((10, 10), bool)
    expected[3:6, 2:8] = True
    assert (mask == expected).all()

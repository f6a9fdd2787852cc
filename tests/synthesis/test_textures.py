import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis.drawn.textures import PATTERNS, colour, draw_texture, oblique_axis, rotate

patterns = pytest.mark.parametrize("name", PATTERNS)


@patterns
@pytest.mark.parametrize("size", [20, 64, 101])
def test_a_pattern_is_a_varied_field_in_the_unit_interval(name, size):
    for seed in range(4):
        pattern = PATTERNS[name](rng_for(name, seed), size)
        assert pattern.shape == (size, size)
        assert pattern.dtype == np.float32
        assert 0 <= pattern.min() <= pattern.max() <= 1
        assert pattern.std() > 0.02


@patterns
def test_a_pattern_depends_on_the_generator_alone(name):
    first, again, other = (PATTERNS[name](rng_for(name, seed), 48) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("size", [20, 60])
def test_textures_are_images_and_differ(size):
    images = [draw_texture(rng_for("texture", i), size=size) for i in range(12)]
    for image in images:
        assert image.shape == (size, size, 3)
        assert image.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
    assert len({image.tobytes() for image in images}) == len(images)


def test_colour_is_a_function_of_the_pattern():
    pattern = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    image = colour(rng_for("colour"), np.vstack([pattern, pattern]))
    assert (image[:8] == image[8:]).all()
    assert np.abs(np.diff(image[:8].reshape(-1, 3), axis=0)).max() < 0.1, "neighbouring values get similar colours"


def test_rotate_shows_no_mirrored_corners():
    x, y = np.meshgrid(np.arange(40.0), np.arange(40.0))
    design = np.stack([x.ravel(), y.ravel(), np.ones(1600)], axis=1)
    for seed in range(12):
        turned = rotate(rng_for("rotate", seed), (0.3 * x + 0.7 * y).astype(np.float32))
        plane, *_ = np.linalg.lstsq(design, turned.ravel(), rcond=None)
        # a ramp stays a ramp, except for the outermost pixels, which the mirror may touch
        residual = np.abs(turned - (design @ plane).reshape(40, 40))[2:-2, 2:-2]
        assert residual.max() < 0.2


def test_oblique_axis_is_a_straight_ramp_of_unit_slope():
    for seed in range(5):
        axis = oblique_axis(rng_for("axis", seed), 32)
        slope = np.hypot(np.diff(axis, axis=0)[:, 0], np.diff(axis, axis=1)[0])
        np.testing.assert_allclose(slope, 1 / 32, rtol=1e-4)

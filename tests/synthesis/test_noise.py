import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis.drawn.noise import fractal_noise, perlin_noise, stretch


def perlin_at(y, x, angle):
    """Perlin's noise at one point, corner by corner as in the definition."""
    row, column = int(y), int(x)
    v, u = y - row, x - column
    fade_v, fade_u = (t**3 * (t * (t * 6 - 15) + 10) for t in (v, u))
    value = 0.0
    for down, weight_v in ((0, 1 - fade_v), (1, fade_v)):
        for right, weight_u in ((0, 1 - fade_u), (1, fade_u)):
            gradient = angle[row + down, column + right]
            value += weight_v * weight_u * (np.sin(gradient) * (v - down) + np.cos(gradient) * (u - right))
    return np.sqrt(2) * value


@pytest.mark.parametrize(("shape", "cells"), [((24, 24), (4, 4)), ((32, 20), (2, 5)), ((17, 40), (1, 8))])
def test_perlin_noise_is_the_corner_by_corner_definition(shape, cells):
    noise = perlin_noise(rng_for("perlin"), shape=shape, cells=cells)
    angle = rng_for("perlin").uniform(0, 2 * np.pi, size=(cells[0] + 1, cells[1] + 1))
    expected = np.array(
        [
            [perlin_at(i * cells[0] / shape[0], j * cells[1] / shape[1], angle) for j in range(shape[1])]
            for i in range(shape[0])
        ]
    )
    np.testing.assert_allclose(noise, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cells", [(1, 1), (4, 8), (32, 32)])
def test_perlin_noise_vanishes_at_lattice_points_only(cells):
    noise = perlin_noise(rng_for("lattice"), shape=(64, 64), cells=cells)
    lattice = noise[:: 64 // cells[0], :: 64 // cells[1]]
    np.testing.assert_allclose(lattice, 0, atol=1e-5)
    assert np.abs(noise).max() > 0.3


def kinks(fields, cells):
    """How much larger second differences are at the lattice lines than between them."""
    bends = np.abs(np.diff(fields, n=2, axis=1)).mean(axis=(0, 2))
    step = fields.shape[1] // cells
    is_line = (np.arange(len(bends)) + 1) % step == 0
    return bends[is_line].mean() / bends[~is_line].mean()


def test_no_lattice_line_shows_in_perlin_noise():
    cells, size = 8, 128
    fields = np.stack([perlin_noise(rng_for("lines", i), shape=(size, size), cells=(cells, cells)) for i in range(30)])
    coarse = rng_for("linear").standard_normal((30, cells + 1, size))
    line = np.linspace(0, cells, size, endpoint=False)
    linear = np.stack([[np.interp(line, range(cells + 1), c) for c in field.T] for field in coarse]).swapaxes(1, 2)
    assert kinks(linear, cells) > 5, "straight pieces have all their kinks on the lines"
    assert kinks(fields, cells) < 1.5
    # nor is the noise weaker on the lines, taken as a whole, than a quarter of the way to the next
    power = (fields**2).mean(axis=(0, 2)).reshape(cells, -1).mean(axis=0)
    assert power.min() > 0.4 * power.max()


def test_perlin_noise_depends_on_the_generator_alone():
    first, again, other = (perlin_noise(rng_for(seed), shape=(32, 32), cells=(4, 4)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    first *= 0  # what is kept between calls is not what was handed out
    assert (perlin_noise(rng_for(1), shape=(32, 32), cells=(4, 4)) == again).all()


def test_perlin_noise_stays_within_one_and_uses_the_range():
    fields = np.stack([perlin_noise(rng_for("range", i), shape=(64, 64), cells=(8, 8)) for i in range(20)])
    assert 0.8 < np.abs(fields).max() <= 1 + 1e-5
    assert abs(fields.mean()) < 0.02


def test_more_cells_make_finer_noise():
    def slope(cells):
        return np.abs(np.diff(perlin_noise(rng_for("fine"), shape=(64, 64), cells=(cells, cells)))).mean()

    assert slope(2) < slope(4) < slope(8) < slope(16)


@pytest.mark.parametrize("shape", [(32, 32), (16, 48)])
def test_fractal_noise_fills_the_unit_interval(shape):
    field = fractal_noise(rng_for("fractal"), shape=shape)
    assert field.shape == shape
    assert field.dtype == np.float32
    assert (field.min(), field.max()) == (0, 1)


def test_fractal_noise_gets_rougher_with_octaves():
    def slope(octaves):
        return np.abs(np.diff(fractal_noise(rng_for("octaves"), shape=(64, 64), octaves=octaves))).mean()

    assert slope(1) < slope(3) < slope(5)


def test_stretch_makes_a_constant_field_zero_and_keeps_the_order():
    assert (stretch(np.full((3, 3), 7.0)) == 0).all()
    field = rng_for("stretch").normal(size=(5, 5))
    assert (np.argsort(stretch(field), axis=None) == np.argsort(field, axis=None)).all()

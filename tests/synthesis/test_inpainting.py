import numpy as np
import pytest

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis import OpenCVInpainter, Photographs
from metauas.synthesis.changes.inpainters import check_options
from metauas.synthesis.changes.inpainting import METHODS, keep_outside, pad_to_multiple

inpainters = pytest.mark.parametrize(
    "inpainter", [OpenCVInpainter(method=m, grain=g) for m in METHODS for g in (True, False)]
)


def disc(size=64, centre=(30, 34), radius=9):
    y, x = np.ogrid[:size, :size]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2


@inpainters
def test_pixels_outside_of_the_mask_are_the_same_to_the_bit(inpainter):
    image = Photographs(names=("chelsea",)).draw(rng_for("photo"), size=64).image
    before, mask = image.copy(), disc()
    filled = inpainter(image, mask, rng=rng_for("fill"))
    assert filled.dtype == np.float32
    assert (filled[~mask] == before[~mask]).all()
    assert (image == before).all(), "the picture given is left alone"
    assert (filled[mask] != before[mask]).mean() > 0.5
    assert 0 <= filled.min() <= filled.max() <= 1


@inpainters
def test_the_object_is_gone(inpainter):
    ramp = np.linspace(0.3, 0.6, 64, dtype=np.float32)
    surface = np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2)
    mask = disc()
    image = np.where(mask[..., None], np.float32([1, 0, 0]), surface)
    filled = inpainter(image, mask, rng=rng_for("fill"))
    assert np.abs(filled - surface)[mask].max() < 0.08
    assert np.abs(image - surface)[mask].min() > 0.3


@inpainters
def test_an_empty_mask_changes_nothing(inpainter):
    image = rng_for("image").random((32, 32, 3), dtype=np.float32)
    assert (inpainter(image, np.zeros((32, 32), bool), rng=rng_for(0)) == image).all()


def test_grain_brings_back_the_surface_s_roughness():
    image = (0.5 + 0.05 * rng_for("rough").standard_normal((64, 64, 3))).astype(np.float32)
    smooth, rough = (OpenCVInpainter(grain=g)(image, disc(), rng=rng_for(0))[disc(radius=6)] for g in (False, True))
    assert smooth.std() < 0.03
    assert 0.03 < rough.std() < 0.08


def test_grain_brings_back_no_edges_from_elsewhere():
    image = np.full((64, 64, 3), 0.5, np.float32)
    image[::8] = 0.0  # bars everywhere but around the object
    image[20:50] = 0.5
    for seed in range(10):
        filled = OpenCVInpainter()(image, disc(), rng=rng_for("bars", seed))
        assert np.abs(filled - 0.5)[disc()].max() < 0.01


def test_the_filling_depends_on_the_generator_alone():
    image = rng_for("image").random((48, 48, 3), dtype=np.float32)
    first, again, other = (OpenCVInpainter()(image, disc(48, (20, 20)), rng=rng_for(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match=r"method='telae'.*'telea'.*navier-stokes"):
        OpenCVInpainter(method="telae")


@pytest.mark.parametrize("feather", [0, 1, 4])
def test_beyond_the_feather_the_image_is_the_same_to_the_bit_and_in_the_mask_the_filling(feather):
    image, filled = rng_for("feather").random((2, 64, 64, 3), dtype=np.float32)
    mask = disc()
    result = keep_outside(image, filled, mask=mask, feather=feather)
    y, x = np.mgrid[:64, :64]
    inside = np.argwhere(mask)
    distance = np.sqrt(((y[..., None] - inside[:, 0]) ** 2 + (x[..., None] - inside[:, 1]) ** 2).min(axis=2))
    assert (result[mask] == filled[mask]).all()
    assert (result[distance >= max(feather, 1)] == image[distance >= max(feather, 1)]).all()
    between = (distance > 0) & (distance < feather)
    if feather > 1:
        weight = (1 - distance[between] / feather)[:, None]
        expected = weight * filled[between] + (1 - weight) * image[between]
        np.testing.assert_allclose(result[between], expected, atol=1e-5)
    else:
        assert not between.any()


def test_padding_mirrors_to_the_next_multiple():
    image = np.arange(5 * 7).reshape(5, 7)
    padded = pad_to_multiple(image, 8)
    assert padded.shape == (8, 8)
    assert (padded[:5, :7] == image).all()
    assert (padded[5, :7] == image[4]).all()
    assert (padded[:5, 7] == image[:, 6]).all()
    assert pad_to_multiple(np.zeros((2, 3, 3)), 16).shape == (16, 16, 3), "also where it takes several mirrors"
    assert (pad_to_multiple(padded, 8) == padded).all()


def test_no_recipe_can_say_that_a_file_is_trusted():
    with pytest.raises(InputError, match="trusted"):
        check_options("lama:big-lama.pt", {"trusted": True})

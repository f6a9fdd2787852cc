import cv2
import numpy as np
import pytest

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis import FILLINGS, REGIONS, DrawnTextures, LocalChange

SIZE = 64
each_region = pytest.mark.parametrize("region", REGIONS)
each_filling = pytest.mark.parametrize("filling", FILLINGS)


def region_of(change, seed):
    """The region that a change with this seed draws first."""
    rng = rng_for("local", seed)
    return REGIONS[str(rng.choice(change.regions))](rng, SIZE)


def photograph_like():
    return rng_for("image").random((SIZE, SIZE, 3), dtype=np.float32)


@each_region
@each_filling
def test_the_picture_changes_inside_of_the_region_only(region, filling):
    change, image = LocalChange(DrawnTextures(), regions=(region,), fillings=(filling,)), photograph_like()
    before, changed_pixels = image.copy(), 0
    for seed in range(12):
        changed, inside = change(image, rng=rng_for("local", seed)), region_of(change, seed)
        assert changed.dtype == np.float32
        assert 0 <= changed.min() <= changed.max() <= 1
        assert (changed[~inside] == before[~inside]).all(), "to the bit"
        changed_pixels += int((changed != before).any(axis=2)[inside].sum())
    assert changed_pixels > 200
    assert (image == before).all(), "the picture given is left alone"


@pytest.mark.parametrize("opacity", [0.25, 0.6, 1.0])
def test_opacity_blends_linearly(one_colour, opacity):
    change = LocalChange(one_colour(), regions=("spot",), fillings=("texture",), opacity=(opacity, opacity))
    image, colour = photograph_like(), np.float32([1, 0, 0])
    for seed in range(8):
        changed = change(image, rng=rng_for("local", seed))
        core = cv2.erode(region_of(change, seed).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        expected = (1 - opacity) * image + opacity * colour
        np.testing.assert_allclose(changed[core], expected[core], atol=2e-2)


def test_elsewhere_shows_another_place_of_the_same_picture():
    change = LocalChange(DrawnTextures(), regions=("spot",), fillings=("elsewhere",), opacity=(1.0, 1.0))
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[..., :] = np.arange(SIZE, dtype=np.float32)[:, None, None] / SIZE  # each row has its own grey
    palette = set(image[:, 0, 0].tolist())
    hard_edges = 0
    for seed in range(10):
        changed = change(image, rng=rng_for("local", seed))
        if set(changed[..., 0].ravel().tolist()) <= palette:
            hard_edges += 1
            assert (changed[region_of(change, seed)] != image[region_of(change, seed)]).all()
    assert 1 <= hard_edges <= 9, "about half of the regions have a soft edge"


@each_region
def test_regions_are_local_and_varied(region):
    masks = [REGIONS[region](rng_for(region, seed), SIZE) for seed in range(40)]
    assert all(mask.dtype == bool and mask.shape == (SIZE, SIZE) for mask in masks)
    shares = np.array([mask.mean() for mask in masks])
    assert (shares > 0).mean() > 0.8
    assert shares.mean() < 0.4
    assert len({mask.tobytes() for mask in masks}) > 30


def test_strokes_are_thin_and_spots_are_not():
    def thickness(region):
        distance = [
            cv2.distanceTransform(REGIONS[region](rng_for(region, i), SIZE).astype(np.uint8), cv2.DIST_L2, 5).max()
            for i in range(20)
        ]
        return np.mean(distance)

    assert thickness("stroke") < 2.5 < thickness("spot")


def test_a_higher_perlin_threshold_gives_a_smaller_region():
    low, high = (REGIONS["perlin"](rng_for("perlin", 1), SIZE, threshold=t) for t in (0.2, 0.5))
    assert (high <= low).all()
    assert high.sum() < low.sum()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": ("perlni",)}, r"regions='perlni'.*'perlin'"),
        ({"fillings": ("textures",)}, r"fillings='textures'.*'texture'"),
        ({"regions": ()}, r"at least one name in regions"),
        ({"opacity": (1.0, 0.2)}, r"opacity=\(1.0, 0.2\)"),
        ({"opacity": (0.2, 1.5)}, r"opacity=\(0.2, 1.5\)"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        LocalChange(DrawnTextures(), **settings)

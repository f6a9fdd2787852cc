import cv2
import numpy as np
import pytest

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis import (
    FILLINGS,
    LOCAL_PRESETS,
    REGIONS,
    DrawnTextures,
    LocalChange,
    Picture,
    augment_texture,
    embedded_synthesizer,
)
from metauas.synthesis.drawn.scenes import plain_colour

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


def test_hairlines_are_longer_and_thinner_than_cracks():
    def of(region):
        masks = [REGIONS[region](rng_for(region, i), 256) for i in range(40)]
        widths = [cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5).max() for mask in masks]
        extents = [max(np.ptp(np.argwhere(mask), axis=0)) for mask in masks if mask.any()]
        return np.mean(widths), np.mean(extents)

    (crack_width, crack_length), (hair_width, hair_length) = of("crack"), of("hairline")
    assert hair_width < 0.7 * crack_width
    assert hair_length > 1.2 * crack_length


def test_a_gap_is_dark_and_not_everywhere_alike():
    change = LocalChange(DrawnTextures(), regions=("spot",), fillings=("gap",), opacity=(1.0, 1.0), soft_edges=0.0)
    image = np.full((SIZE, SIZE, 3), 0.8, np.float32)
    for seed in range(6):
        changed = change(image, rng=rng_for("gap", seed))
        seen = changed[(changed != image).any(axis=2)]
        assert seen.max() < 0.75
        assert np.ptp(seen) > 0.05


def test_a_higher_perlin_threshold_gives_a_smaller_region():
    low, high = (REGIONS["perlin"](rng_for("perlin", 1), SIZE, threshold=t) for t in (0.2, 0.5))
    assert (high <= low).all()
    assert high.sum() < low.sum()


# --- DRAEM's change as published


def as_published(image, texture, region, opacity):
    """DRAEM's equation: (1 − M)·I + (1 − β)·M·A + β·M·I, β being what shows through."""
    mask, beta = region[..., None].astype(np.float64), 1 - opacity
    return (1 - mask) * image + (1 - beta) * mask * texture + beta * mask * image


class Striped:
    """A texture that augmentation changes in every way."""

    image = np.random.default_rng(0).random((SIZE, SIZE, 3), dtype=np.float32)

    def draw(self, rng, *, size):
        return Picture(image=self.image)


@pytest.mark.parametrize("name", ["draem", "reproduction"])
def test_presets_blend_a_texture_by_the_published_equation(name):
    change, image = LocalChange(Striped(), **LOCAL_PRESETS[name]), photograph_like()
    opacities = []
    for seed in range(60):
        changed = change(image, rng=rng_for("local", seed))
        rng = rng_for("local", seed)
        assert str(rng.choice(change.regions)) == "perlin"
        region = REGIONS["perlin"](rng, SIZE)
        assert str(rng.choice(change.fillings)) == "texture"
        texture = augment_texture(Striped.image, rng=rng) if name == "draem" else Striped.image
        opacities.append(rng.uniform(*LOCAL_PRESETS[name]["opacity"]))
        np.testing.assert_allclose(changed, as_published(image, texture, region, opacities[-1]), atol=1e-5)
    low, high = LOCAL_PRESETS[name]["opacity"]
    assert low <= min(opacities) < low + 0.05
    assert high - 0.05 < max(opacities) <= high


def test_presets_are_the_opacities_that_were_published():
    assert LOCAL_PRESETS["draem"]["opacity"] == (0.2, 1.0), "β = U(0, 0.8) of the original shows through"
    assert LOCAL_PRESETS["reproduction"]["opacity"] == (0.3, 1.0)
    assert LocalChange(DrawnTextures(), **LOCAL_PRESETS["ours"]) == LocalChange(DrawnTextures())
    assert LocalChange(DrawnTextures(), **LOCAL_PRESETS["draem"]).augment


def test_only_textures_are_augmented():
    plain, augmented = (LocalChange(Striped(), fillings=("tint", "elsewhere"), augment=a) for a in (False, True))
    image = photograph_like()
    for seed in range(10):
        assert (plain(image, rng=rng_for(seed)) == augmented(image, rng=rng_for(seed))).all()
    plain, augmented = (LocalChange(Striped(), fillings=("texture",), augment=a) for a in (False, True))
    differs = [(plain(image, rng=rng_for(seed)) != augmented(image, rng=rng_for(seed))).any() for seed in range(10)]
    assert sum(differs) > 6


def before_augmentation(change, image, rng):
    """The local change as it was before it could augment: formula and order of all draws, written out plainly."""
    region = REGIONS[str(rng.choice(change.regions))](rng, image.shape[0])
    kind, size = str(rng.choice(change.fillings)), image.shape[0]
    if kind == "texture":
        filling = change.textures.draw(rng, size=size).image
    elif kind == "tint":
        colour = plain_colour(rng)
        filling = colour + np.float32(rng.choice([0.0, 0.7])) * (image - image.mean(axis=(0, 1)))
    else:
        filling = np.roll(image, [int(rng.integers(size // 8, size - size // 8)) for _ in range(2)], axis=(0, 1))
    alpha = np.float32(rng.uniform(*change.opacity)) * region.astype(np.float32)
    if rng.random() < 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.2))
    return np.where(region[..., None], np.clip(image + alpha[..., None] * (filling - image), 0, 1), image)


def test_by_default_nothing_is_other_than_before_augmentation():
    change, image = LocalChange(DrawnTextures()), photograph_like()
    for seed in range(60):
        now, then = rng_for("local", seed), rng_for("local", seed)
        assert (change(image, rng=now) == before_augmentation(change, image, then)).all(), "to the bit"
        assert now.bit_generator.state == then.bit_generator.state, "the random stream goes on alike"


def test_the_embedded_pairs_are_as_before_augmentation(monkeypatch):
    synthesizer = embedded_synthesizer(size=32, kinds=["local"])
    now = [synthesizer(rng_for("embedded", index)) for index in range(20)]
    monkeypatch.setattr(LocalChange, "__call__", lambda self, image, *, rng: before_augmentation(self, image, rng))
    then = [synthesizer(rng_for("embedded", index)) for index in range(20)]
    for a, b in zip(now, then, strict=True):
        assert (a.query == b.query).all()
        assert (a.prompt == b.prompt).all()
        assert (a.mask == b.mask).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": ("perlni",)}, r"regions='perlni'.*'perlin'"),
        ({"fillings": ("textures",)}, r"fillings='textures'.*'texture'"),
        ({"regions": ()}, r"at least one name in regions"),
        ({"opacity": (1.0, 0.2)}, r"opacity=\(1.0, 0.2\)"),
        ({"opacity": (0.2, 1.5)}, r"opacity=\(0.2, 1.5\)"),
        ({"soft_edges": 1.5}, r"soft_edges=1.5 is no share"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        LocalChange(DrawnTextures(), **settings)


def test_an_image_that_is_no_square_is_refused():
    change = LocalChange(DrawnTextures())
    with pytest.raises(InputError, match="64 × 48; crop a square"):
        change(np.zeros((48, 64, 3), np.float32), rng=rng_for(0))

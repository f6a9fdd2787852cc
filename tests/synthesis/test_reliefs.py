from dataclasses import replace

import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import PairSynthesizer, Variation
from metauas.synthesis.recipe import build_synthesizer, read_recipe
from metauas.synthesis.reliefs import DrawnReliefs, Finish, Light, damaged, draw_finish, draw_light

SIZE = 64
MATT = Finish(tone=np.full(3, 0.4, np.float32), steepness=0.1, gloss=0.0, sharpness=20.0)
LAMP = Light(azimuth=0.0, elevation=0.8, ambient=0.3)
PLAIN = np.ones((SIZE, SIZE), np.float32)


def ramp(slope, *, axis):
    """Heights that grow by ``slope`` a pixel to the right (axis 1) or downwards (axis 0)."""
    along = np.arange(SIZE, dtype=np.float32) * np.float32(slope)
    return np.broadcast_to(along[None] if axis else along[:, None], (SIZE, SIZE)).copy()


def brightness(height, light, finish=MATT):
    return float(finish.shown(height, PLAIN, light=light)[8:-8, 8:-8].mean())


def rough(seed=0):
    return np.cumsum(rng_for("rough", seed).normal(0, 0.05, (SIZE, SIZE)), axis=1).astype(np.float32)


@pytest.mark.parametrize("azimuth", [0.0, 1.0, 4.0])
def test_an_even_surface_has_its_tone_wherever_the_lamp_stands(azimuth):
    shown = MATT.shown(np.zeros((SIZE, SIZE), np.float32), PLAIN, light=replace(LAMP, azimuth=azimuth))
    np.testing.assert_allclose(shown, 0.4, atol=1e-6)


@pytest.mark.parametrize(("axis", "azimuth"), [(1, 0.0), (0, np.pi / 2)])
def test_what_faces_the_lamp_is_lighter_than_what_turns_away(axis, azimuth):
    lamp = replace(LAMP, azimuth=azimuth)
    facing, away = ramp(-0.3, axis=axis), ramp(0.3, axis=axis)
    assert brightness(facing, lamp) > 0.42 > 0.38 > brightness(away, lamp)
    assert brightness(away, replace(lamp, azimuth=azimuth + np.pi)) == pytest.approx(brightness(facing, lamp), rel=1e-4)


def test_shading_is_lamberts():
    """The cosine of the angle between the slope's normal and the lamp, beside the same share from everywhere."""
    slope, elevation = 0.3, 0.8
    cosine = (slope * np.cos(elevation) + np.sin(elevation)) / np.hypot(1, slope)
    expected = 0.4 * (0.3 + 0.7 * cosine / np.sin(elevation))
    assert brightness(ramp(-slope, axis=1), LAMP) == pytest.approx(expected, rel=1e-5)


def test_the_lower_the_lamp_the_stronger_the_shading():
    low, high = (MATT.shown(rough(), PLAIN, light=replace(LAMP, elevation=e)).std() for e in (0.4, 1.3))
    assert low > 1.5 * high


def test_gloss_adds_most_light_where_the_lamp_is_mirrored():
    def shine(slope):  # before the picture is exposed for it
        return 1.5 * brightness(ramp(slope, axis=1), LAMP, replace(MATT, gloss=0.5)) - brightness(
            ramp(slope, axis=1), LAMP
        )

    mirrored = -np.tan((np.pi / 2 - LAMP.elevation) / 2)  # half way between upright and the lamp
    assert shine(mirrored) == pytest.approx(0.5, abs=1e-3)
    assert shine(mirrored) > 2 * shine(0.0) > 0


def test_the_lamp_of_another_picture_stands_where_it_may():
    lamps = [LAMP.nearby(rng_for(index), turn=0.2) for index in range(200)]
    assert np.std([lamp.azimuth for lamp in lamps]) == pytest.approx(0.2, rel=0.2)
    assert all(0.25 <= lamp.elevation <= 1.4 for lamp in lamps)
    assert {lamp.ambient for lamp in lamps} == {LAMP.ambient}


def test_damage_is_in_one_region_and_never_the_whole():
    shares = [(damaged(rng_for("damage", i), rough(), steepness=0.1) != rough()).mean() for i in range(60)]
    assert max(shares) < 0.9
    assert np.mean([share > 0 for share in shares]) > 0.9, "a region of noise may be empty"


def test_pictures_are_in_range_and_depend_on_the_generator_alone():
    for index in range(30):
        picture, again = (DrawnReliefs().draw(rng_for(index), size=SIZE) for _ in range(2))
        for image in (picture.image, picture.sibling):
            assert image.shape == (SIZE, SIZE, 3)
            assert image.dtype == np.float32
            assert 0 <= image.min() <= image.max() <= 1
        np.testing.assert_array_equal(picture.image, again.image)
        faults = [p.faulty(rng_for("fault"), "exchange") for p in (picture, again)]
        np.testing.assert_array_equal(*faults)
        assert picture.stationary


def test_a_fault_is_shaded_by_the_picture_s_own_light():
    """What is not damaged, and a pixel or two beside, is as it was: the same relief under the same lamp."""
    changed = []
    for index in range(20):
        picture = DrawnReliefs().draw(rng_for(index), size=SIZE)
        faulty = picture.faulty(rng_for("fault", index), "exchange")
        changed.append((faulty != picture.image).any(axis=2).mean())
    assert 0 < np.median(changed) < 0.5
    assert np.mean([share == 0 for share in changed]) < 0.2


def test_the_other_place_is_of_the_same_material_in_another_light():
    for index in range(20):
        picture = DrawnReliefs().draw(rng_for(index), size=SIZE)
        assert (picture.image != picture.sibling).mean() > 0.2
    glossless = [draw_finish(rng_for(index)).gloss == 0 for index in range(100)]
    assert 0.5 < np.mean(glossless) < 0.8
    assert np.ptp([draw_light(rng_for(index)).azimuth for index in range(50)]) > 5


def test_damage_is_marked_where_the_query_shows_it():
    make = PairSynthesizer(DrawnReliefs(), size=SIZE, mixture={"exchange": 1.0}, variation=Variation.off())
    pairs = [make(rng_for("pair", index)) for index in range(20)]
    marked = [pair for pair in pairs if pair.kind == "exchange"]
    assert len(marked) > 14
    assert all(0 < pair.mask.mean() < 0.5 for pair in marked)


def test_the_preset_draws_reliefs_most():
    settings = read_recipe(preset="reliefs", size=SIZE)
    assert max(settings.pictures, key=settings.pictures.get) == "drawn_reliefs"
    make = build_synthesizer(settings)
    assert "relief" in {make(rng_for("pair", index)).source for index in range(30)}

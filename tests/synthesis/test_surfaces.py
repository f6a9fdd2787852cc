from dataclasses import replace

import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import LocalChange, PairSynthesizer, Variation
from metauas.synthesis.drawn.scenes import DrawnTextures
from metauas.synthesis.drawn.surfaces import DrawnSurfaces, Grain, Specks, draw_surface
from metauas.synthesis.recipe import build_synthesizer, read_recipe

SIZE = 64


def surfaces(count):
    return [draw_surface(rng_for("surface", index)) for index in range(count)]


def plain(**layers):
    """A grey surface with nothing but the layers given."""
    grey = np.full(3, 0.5, np.float32)
    nothing = {"grains": (), "specks": (), "blotches": 0.0, "blur": 0.0}
    return replace(surfaces(1)[0], tone=grey, tint=np.ones(3, np.float32), **(nothing | layers))


def test_specimens_are_nearer_to_each_other_than_to_other_materials():
    def looks(surface, index):
        image = surface.alike(rng_for("alike", index)).draw(rng_for("place", index), size=SIZE)
        return np.array([*image.mean(axis=(0, 1)), 3 * image.std()])

    first, second = ([looks(s, i + k * 100) for i, s in enumerate(surfaces(40))] for k in (0, 1))
    own = np.mean([np.linalg.norm(a - b) for a, b in zip(first, second, strict=True)])
    others = np.mean([np.linalg.norm(a - b) for a, b in zip(first, np.roll(second, 1, axis=0), strict=True)])
    assert own < others / 2


def test_another_specimen_is_of_the_same_kind_and_not_the_same():
    for index, surface in enumerate(surfaces(20)):
        other = surface.alike(rng_for(index))
        assert [g.stretch for g in other.grains] == [g.stretch for g in surface.grains]
        assert [np.sign(s.contrast) for s in other.specks] == [np.sign(s.contrast) for s in surface.specks]
        assert other.grains[0].size != surface.grains[0].size
        assert 0.5 < other.grains[0].size / surface.grains[0].size < 2


@pytest.mark.parametrize("strength", [0.02, 0.08])
def test_grain_is_as_strong_as_it_says(strength):
    field = Grain(size=1.0, stretch=1.0, strength=strength).draw(rng_for("grain"), size=SIZE)
    assert field.mean() == pytest.approx(0, abs=1e-6)
    assert field.std() == pytest.approx(strength, rel=1e-4)


def test_grain_is_as_coarse_and_as_long_as_it_says():
    def changes(axis, **grain):
        return np.abs(np.diff(Grain(strength=1.0, **grain).draw(rng_for("grain"), size=SIZE), axis=axis)).mean()

    assert changes(0, size=3.0, stretch=1.0) < changes(0, size=0.6, stretch=1.0) / 2
    assert changes(1, size=1.0, stretch=4.0) < changes(0, size=1.0, stretch=4.0) / 2


@pytest.mark.parametrize("contrast", [-0.3, 0.3])
def test_specks_are_few_and_dark_or_light(contrast):
    added = Specks(size=1.0, level=2.0, contrast=contrast).draw(rng_for("specks"), size=SIZE)
    assert 0.005 < (added != 0).mean() < 0.06
    assert (np.sign(contrast) * added).min() == 0
    assert np.abs(added).max() == pytest.approx(0.3)
    rarer = Specks(size=1.0, level=2.5, contrast=contrast).draw(rng_for("specks"), size=SIZE)
    assert (rarer != 0).mean() < (added != 0).mean() / 2


def test_a_surface_is_its_tone_and_what_its_layers_add():
    np.testing.assert_array_equal(plain().draw(rng_for(0), size=SIZE), np.float32(0.5))
    rough = plain(grains=(Grain(size=1.0, stretch=1.0, strength=0.05),)).draw(rng_for(0), size=SIZE)
    assert rough.mean() == pytest.approx(0.5, abs=1e-3)
    assert rough.std() == pytest.approx(0.05, rel=0.01)
    soiled = plain(blotches=0.3).draw(rng_for(0), size=SIZE)
    assert np.ptp(soiled) == pytest.approx(0.3, rel=0.01)
    assert np.abs(np.diff(soiled, axis=0)).max() < 0.05, "slowly"


def test_a_crack_in_a_surface_is_marked_and_the_other_specimen_is_not():
    cracks = LocalChange(DrawnTextures(), regions=("hairline",), fillings=("gap",), opacity=(1.0, 1.0))
    still = {"size": SIZE, "variation": Variation.off(), "local": cracks}
    make = PairSynthesizer(DrawnSurfaces(), mixture={"local": 1.0}, **still)
    pairs = [make(rng_for("pair", index)) for index in range(12)]
    cracked = [pair for pair in pairs if pair.kind == "local"]
    assert len(cracked) > 6
    for pair in cracked:
        marked = pair.mask[0] > 0
        assert 0 < marked.float().mean() < 0.3
        grey = pair.query.mean(dim=0)
        assert grey[marked].mean() < grey[~marked].mean()


def test_the_preset_draws_surfaces_and_cracks():
    settings = read_recipe(preset="goods", size=SIZE)
    assert settings.pictures["drawn_surfaces"] == max(settings.pictures.values())
    make = build_synthesizer(settings)
    assert {"surface"} < {make(rng_for("pair", index)).source for index in range(20)}

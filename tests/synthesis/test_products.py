from itertools import pairwise

import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import DrawnTextures, PairSynthesizer, Picture, Variation
from metauas.synthesis.drawn.assemblies import DrawnAssemblies
from metauas.synthesis.drawn.products import DrawnProducts, draw_design, turned

SIZE = 64


def products(count, *, source=None, size=SIZE):
    source = source or DrawnProducts()
    return [source.draw(rng_for("product", index), size=size) for index in range(count)]


@pytest.mark.parametrize("source", [DrawnProducts(), DrawnAssemblies()], ids=["products", "assemblies"])
def test_a_product_comes_with_another_item_of_its_design(source):
    for picture in products(12, source=source):
        assert picture.image.shape == picture.sibling.shape == (SIZE, SIZE, 3)
        assert picture.image.dtype == picture.sibling.dtype == np.float32
        assert 0 <= picture.image.min() <= picture.image.max() <= 1
        assert not np.array_equal(picture.image, picture.sibling)
        assert all(mask.shape == (SIZE, SIZE) and mask.any() for mask in picture.objects)


def test_a_product_is_a_function_of_the_generator():
    (first,), (again,) = products(1), products(1)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.sibling, again.sibling)


def test_items_of_a_design_are_nearer_to_each_other_than_to_other_designs():
    pictures = products(30)
    own = np.mean([np.abs(p.image - p.sibling).mean() for p in pictures])
    others = np.mean([np.abs(p.image - q.sibling).mean() for p, q in pairwise(pictures)])
    assert own < others / 2


def test_fixtures_stay_in_their_places_and_inclusions_do_not():
    design = next(
        d for d in (draw_design(rng_for("design", i), size=SIZE) for i in range(200)) if d.fixtures and d.inclusions
    )
    places = [[np.argwhere(mask).mean(axis=0) for mask in design.item(rng_for("item", i)).fixtures] for i in range(8)]
    assert np.ptp(np.array([p[-1] for p in places]), axis=0).max() < 0.1 * SIZE


def test_two_places_of_a_material_are_of_one_palette_but_not_the_same_pixels():
    for picture in products(12, source=DrawnTextures(places=True)):
        assert picture.stationary
        assert not np.array_equal(picture.image, picture.sibling)
        spread = np.abs(picture.image.mean(axis=(0, 1)) - picture.sibling.mean(axis=(0, 1)))
        assert spread.max() < 0.25


def test_turned_keeps_the_pixels_and_leaves_colours_alone():
    image = rng_for("image").random((8, 8, 3), dtype=np.float32)
    for index in range(8):
        np.testing.assert_array_equal(np.sort(turned(rng_for(index), image), axis=None), np.sort(image, axis=None))
    colour = np.array([0.1, 0.2, 0.3], np.float32)
    assert turned(rng_for(0), colour) is colour


class Twins:
    """A grey picture with one square; its sibling is black."""

    def __init__(self, *, stationary=False):
        self.stationary = stationary

    def draw(self, rng, *, size):
        image = np.full((size, size, 3), 0.5, np.float32)
        square = np.zeros((size, size), bool)
        square[size // 3 : size // 2, size // 3 : size // 2] = True
        image[square] = (0.9, 0.2, 0.2)
        sibling = np.zeros_like(image)
        return Picture(image=image, objects=(square,), name="twins", stationary=self.stationary, sibling=sibling)


@pytest.mark.parametrize(
    ("kind", "stationary", "shown"),
    [
        ("local", False, True),
        ("disappearance", False, True),
        ("exchange", False, True),
        ("unchanged", False, True),
        ("appearance", False, False),
        ("local", True, True),
        ("disappearance", True, False),
    ],
)
def test_the_prompt_shows_the_sibling_where_the_change_is_foreign_to_the_query(kind, stationary, shown):
    make = PairSynthesizer(Twins(stationary=stationary), size=SIZE, mixture={kind: 1.0}, variation=Variation.off())
    for index in range(6):
        pair = make(rng_for(kind, index))
        assert (pair.prompt.max() == 0) == shown
        assert pair.query.max() > 0.4
        if kind != "unchanged":
            assert 0 < pair.mask.mean() < 0.6  # what was changed in the query, not all that differs from the sibling


def test_spun_views_are_turned_by_any_angle():
    make = PairSynthesizer(
        Twins(), size=SIZE, mixture={"appearance": 1.0}, variation=Variation(**{**vars(Variation.off()), "spun": 1.0})
    )
    masks = [make(rng_for("spun", index)).mask for index in range(12)]
    ys = [float(np.argwhere(mask[0].numpy()).mean(axis=0)[0]) for mask in masks]
    assert max(ys) - min(ys) > 0.1 * SIZE  # the square stands beside the middle

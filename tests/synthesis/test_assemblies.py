import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import PairSynthesizer, Variation
from metauas.synthesis.drawn.assemblies import LAYOUTS, DrawnAssemblies, draw_assembly
from metauas.synthesis.pairs import KINDS, OBJECT_KINDS, visible_change

SIZE = 64
each_object_kind = pytest.mark.parametrize("kind", OBJECT_KINDS)


def pictures(count, *, size=SIZE):
    return [DrawnAssemblies().draw(rng_for("assembly", index), size=size) for index in range(count)]


def test_an_assembly_has_many_parts():
    assert max(len(picture.objects) for picture in pictures(12)) > 8


@each_object_kind
def test_faults_are_a_function_of_the_generator(kind):
    (first,), (again,) = pictures(1), pictures(1)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.faulty(rng_for(3), kind), again.faulty(rng_for(3), kind))


def test_a_fault_is_small_and_all_else_stays_as_it_is():
    for index, picture in enumerate(pictures(12)):
        faulty = picture.faulty(rng_for("fault", index), "disappearance")
        differs = np.abs(faulty - picture.image).max(axis=2) > 0
        assert 0 < differs.mean() < 0.3


def test_a_missing_part_leaves_what_lies_under_it():
    item = next(
        item
        for item in (draw_assembly(rng_for("seat", i), size=SIZE).item(rng_for(i)) for i in range(99))
        if item.rows[0].seat is not None and len(item.rows) == 1
    )
    row, place = item.rows[0], item.places[0]
    gone = place
    for index in range(len(place.sizes)):
        gone = gone.without(index)
    empty, seen = type(item)(item.ground, item.base, item.body, (row,), (gone,)).painted()
    assert not any(mask.any() for mask in seen)
    assert np.abs(empty - item.base).max() > 0, "the seats show"


def test_a_misplaced_part_is_one_and_the_others_stay():
    places = draw_assembly(rng_for("misplaced"), size=SIZE).rows[0].places
    wrong = places.misplaced(rng_for(1), 0, radius=0.1)
    moved = np.linalg.norm(wrong.centres - places.centres, axis=1)
    assert 0.03 <= moved[0] <= 0.12
    assert not moved[1:].any()
    np.testing.assert_array_equal(wrong.angles[1:], places.angles[1:])
    np.testing.assert_array_equal(places.sizes, 1)  # what it was made from is as it was


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS), key=LAYOUTS.index))
def test_layouts_keep_parts_apart(layout):
    for index in range(20):
        centres, angles = layout(rng_for("layout", index), np.array([0.5, 0.5]), 0.4, 0.02)
        assert centres.shape == (len(angles), 2)
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=2) + np.eye(len(centres))
        assert apart.min() > 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_assemblies_mark_what_differs_in_the_query(kind):
    make = PairSynthesizer(DrawnAssemblies(), size=SIZE, mixture={kind: 1.0}, variation=Variation.off())
    found = [make(rng_for(kind, index)) for index in range(8)]
    for pair in found:
        assert bool(pair.mask.any()) == (pair.kind != "unchanged")
    assert [pair.kind for pair in found].count(kind) >= 7


@each_object_kind
def test_what_is_drawn_anew_has_no_decoy(kind):
    """A decoy would be missing on the other side, and be marked with the fault."""
    settings = {"size": SIZE, "mixture": {kind: 1.0}, "variation": Variation.off()}
    with_decoys, without = (PairSynthesizer(DrawnAssemblies(), decoys=share, **settings) for share in (1.0, 0.0))
    for index in range(6):
        sizes = [float(make(rng_for("decoy", index)).mask.mean()) for make in (with_decoys, without)]
        assert sizes[0] == pytest.approx(sizes[1]) if kind != "appearance" else sizes[0] < 0.3


def test_an_appearance_shows_the_very_same_item():
    make = PairSynthesizer(DrawnAssemblies(), size=SIZE, mixture={"appearance": 1.0}, variation=Variation.off())
    for index in range(6):
        pair = make(rng_for("appearance", index))
        query, prompt = (side.permute(1, 2, 0).numpy() for side in (pair.query, pair.prompt))
        seen = visible_change(query, prompt)  # of the view alone, so that its border may differ by a few pixels
        assert (seen != (pair.mask[0].numpy() > 0)).mean() < 0.005

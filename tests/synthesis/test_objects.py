import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import OpenCVInpainter, Picture
from metauas.synthesis.objects import choose_objects, dilate, exchange_object, remove_objects, shape_anywhere

INPAINTER = OpenCVInpainter(grain=False)


def test_one_to_three_whole_objects_are_chosen(squares):
    picture = squares(count=3).draw(rng_for("squares"), size=80)
    counts = set()
    for seed in range(40):
        chosen = choose_objects(picture, rng=rng_for(seed))
        shares = [chosen[mask].mean() for mask in picture.objects]
        assert set(shares) <= {0.0, 1.0}
        assert chosen.sum() == sum(mask.sum() for mask, share in zip(picture.objects, shares, strict=True) if share)
        counts.add(sum(shares))
    assert counts == {1, 2, 3}


def test_a_picture_without_objects_gets_a_drawn_shape():
    picture = Picture(image=np.zeros((64, 64, 3), np.float32))
    masks = [choose_objects(picture, rng=rng_for(seed)) for seed in range(10)]
    assert all(0 < mask.mean() < 0.15 for mask in masks)
    assert len({mask.tobytes() for mask in masks}) > 8


@pytest.mark.parametrize("size", [20, 120])
def test_shapes_anywhere_stay_small_and_inside(size):
    masks = [shape_anywhere(rng_for(seed), size=size) for seed in range(50)]
    assert all(0 < mask.sum() < 0.12 * size**2 for mask in masks)
    middle = np.mean([np.argwhere(mask).mean(axis=0) for mask in masks], axis=0) / size
    np.testing.assert_allclose(middle, 0.5, atol=0.15)


def test_removed_objects_are_gone_and_the_others_stay(squares, ground, grow):
    picture = squares().draw(rng_for("squares"), size=80)
    for seed in range(10):
        chosen = choose_objects(picture, rng=rng_for(seed))
        emptied = remove_objects(picture, rng=rng_for(seed), inpainter=INPAINTER)
        far = ~grow(chosen, 2)
        assert (emptied[far] == picture.image[far]).all()
        np.testing.assert_allclose(emptied[chosen], ground, atol=1e-3)


def test_exchange_takes_the_old_object_away_and_puts_the_donor_s_in_its_place(squares, ground):
    picture = squares(count=1).draw(rng_for("picture"), size=80)
    donor = squares(count=1).draw(rng_for("donor"), size=80)
    blue = np.float32([0.1, 0.1, 1.0])
    donor = Picture(image=np.where(donor.objects[0][..., None], blue, ground), objects=donor.objects)
    old = picture.objects[0]
    for seed in range(10):
        changed = exchange_object(picture, donor, rng=rng_for(seed), inpainter=INPAINTER)
        redness, blueness = changed[..., 0] - changed[..., 2], changed[..., 2] - changed[..., 0]
        assert redness.max() < 0.05, "nothing is left of the red square"
        new = blueness > 0.4
        assert 0.3 < new.sum() / old.sum() < 2.5
        distance = np.argwhere(new).mean(axis=0) - np.argwhere(old).mean(axis=0)
        assert np.abs(distance).max() < 2


def test_exchange_differs_only_around_the_old_and_the_new_object(squares, grow):
    picture = squares(count=1).draw(rng_for("picture"), size=80)
    changed = exchange_object(picture, picture, rng=rng_for(0), inpainter=INPAINTER)
    far = ~grow(picture.objects[0], 16)
    assert far.any()
    assert (changed[far] == picture.image[far]).all()


def test_dilate_grows_by_a_disc():
    point = np.zeros((15, 15), bool)
    point[7, 7] = True
    y, x = np.ogrid[-7:8, -7:8]
    grown = dilate(point, pixels=3)
    assert (grown <= (x**2 + y**2 <= 3.5**2)).all()
    assert (grown >= (x**2 + y**2 <= 2.5**2)).all()

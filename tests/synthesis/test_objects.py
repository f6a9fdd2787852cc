import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import OpenCVInpainter, Picture
from metauas.synthesis.changes.objects import (
    adapt_colours,
    choose_objects,
    dilate,
    exchange_object,
    remove_objects,
    shape_anywhere,
)

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
        assert redness.max() < 0.15, "nothing is left of the red square, whose redness is 0.7"
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


def test_donors_that_the_border_cuts_are_taken_only_if_there_is_no_other(squares, ground):
    picture = squares(count=1).draw(rng_for("picture"), size=80)
    cut, whole = np.zeros((2, 80, 80), bool)
    cut[:20, 30:50], whole[40:60, 30:50] = True, True
    image = np.full((80, 80, 3), ground)
    image[cut], image[whole] = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    for seed in range(6):
        both = Picture(image=image, objects=(cut, whole))
        blue = exchange_object(picture, both, rng=rng_for(seed), inpainter=INPAINTER)
        assert (blue[..., 2] - blue[..., 1]).max() > 0.3 > (blue[..., 1] - blue[..., 2]).max()
    green = exchange_object(picture, Picture(image=image, objects=(cut,)), rng=rng_for(0), inpainter=INPAINTER)
    assert (green[..., 1] - green[..., 2]).max() > 0.3


def test_adapted_colours_come_nearer_to_the_ground_s_by_the_share():
    rng = rng_for("colours")
    image = (0.7 + 0.05 * rng.standard_normal((40, 40, 3))).astype(np.float32)
    ground = (0.3 + 0.10 * rng.standard_normal((40, 40, 3))).astype(np.float32)
    region = np.zeros((40, 40), bool)
    region[5:35, 5:35] = True
    half = adapt_colours(image, ground, region=region, share=0.5)[region]
    np.testing.assert_allclose(
        half.mean(axis=0), (image[region].mean(axis=0) + ground[region].mean(axis=0)) / 2, rtol=1e-3
    )
    np.testing.assert_allclose(half.std(axis=0), 0.075, rtol=0.1)
    flat = np.full_like(ground, 0.3)
    assert adapt_colours(image, flat, region=region, share=1.0)[region].std() > 0.02, "an object stays one"
    assert adapt_colours(image, ground, region=np.zeros_like(region), share=0.5) is image

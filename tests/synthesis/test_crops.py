import numpy as np
import pytest

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis.pictures.crops import AreaLimits, picture_of_objects, random_window

LIMITS = AreaLimits(smallest=0.01, largest=0.2)


def scene(*boxes, height=60, width=100):
    """A grey photograph (H, W, 3) with a mask for each box (left, top, width, height), painted red."""
    image, masks = np.full((height, width, 3), 128, np.uint8), []
    for left, top, across, down in boxes:
        mask = np.zeros((height, width), bool)
        mask[top : top + down, left : left + across] = True
        image[mask] = (255, 0, 0)
        masks.append(mask)
    return image, masks


def draw(image, masks, seed, size=64, limits=LIMITS):
    return picture_of_objects(image, masks, limits=limits, rng=rng_for(seed), size=size, name="scene")


@pytest.mark.parametrize("box", [(4, 5, 12, 12), (80, 40, 20, 18), (0, 0, 60, 4), (50, 0, 3, 60)])
def test_the_chosen_object_is_whole_and_within_the_limits_in_every_crop(box):
    image, masks = scene(box)
    for seed in range(30):
        picture = draw(image, masks, seed)
        (mask,) = picture.objects
        red = picture.image[..., 0] - picture.image[..., 1] > 0.5
        side = np.sqrt(masks[0].sum() / mask.mean())  # of the crop, in pixels of the photograph
        assert 28 <= side <= 64
        assert LIMITS.smallest * 0.8 <= mask.mean() <= LIMITS.largest * 1.2  # resizing rounds at the outline
        assert (red == mask).mean() > 0.98, "the mask marks what is red"


def test_objects_that_are_cut_to_less_than_half_are_dropped():
    image, masks = scene((25, 20, 14, 14), (55, 20, 14, 14))
    counts = []
    for seed in range(60):
        picture = draw(image, masks, seed)
        counts.append(len(picture.objects))
        for mask in picture.objects:
            assert mask.sum() >= 0.45 * 14 * 14 * (64 / 60) ** 2, "the largest crop shows an object smallest"
    assert set(counts) == {1, 2}


@pytest.mark.parametrize("boxes", [(), [(0, 0, 100, 10)], [(5, 5, 2, 2)], [(0, 0, 50, 50)]])
def test_without_a_usable_object_the_crop_is_anywhere_and_shows_no_object_beyond_the_limits(boxes):
    image, masks = scene(*boxes)
    pictures = [draw(image, masks, seed) for seed in range(10)]
    assert all(picture.image.shape == (64, 64, 3) for picture in pictures)
    assert all(LIMITS.holds(mask) for picture in pictures for mask in picture.objects)
    assert draw(image, [], 0).objects == ()


def test_a_line_thinner_than_a_pixel_of_the_picture_stays_marked():
    image, masks = scene((100, 10, 1, 150), height=200, width=300)
    for seed in range(20):
        (mask,) = draw(image, masks, seed, size=32, limits=AreaLimits(0.001, 0.2)).objects
        assert 8 <= mask.sum() <= 2 * 32, "one or two pixels wide"


def test_crops_are_mirrored_every_other_time_and_depend_on_the_generator_alone():
    image, masks = scene((10, 20, 14, 14))
    image[:, :, 2] = np.linspace(0, 255, 100).astype(np.uint8)
    blue = [draw(image, masks, seed).image[5, :, 2] for seed in range(40)]
    assert 8 < sum(row[0] > row[-1] for row in blue) < 32
    assert (draw(image, masks, 3).image == draw(image, masks, 3).image).all()


def test_random_windows_cover_the_whole_image():
    windows = [random_window(rng_for(seed), shape=(30, 50), smallest=0.4) for seed in range(200)]
    sides = [rows.stop - rows.start for rows, _ in windows]
    assert all(rows.stop - rows.start == columns.stop - columns.start for rows, columns in windows)
    assert (min(sides), max(sides)) == (12, 29)
    assert {min(columns.start for _, columns in windows), max(columns.stop for _, columns in windows)} == {0, 50}


@pytest.mark.parametrize("limits", [(0.0, 0.2), (0.3, 0.2), (0.1, 1.0)])
def test_limits_that_leave_nothing_are_refused(limits):
    with pytest.raises(InputError, match="0 < smallest < largest < 1"):
        AreaLimits(*limits)


def test_a_narrow_photograph_is_refused_by_name():
    with pytest.raises(InputError, match=r"scene \(100 × 9 pixels\)"):
        draw(*scene(height=9), 0)


def test_the_chosen_object_is_off_the_margin_unless_the_photograph_ends_there():
    margin = int(64 * 0.125) - 2  # as far as rounding to pixels of the photograph can move it
    middle, corner = scene((40, 24, 10, 10)), scene((0, 0, 10, 10))
    for seed in range(40):
        (mask,) = draw(*middle, seed).objects
        assert mask[margin:-margin, margin:-margin].sum() == mask.sum()
        assert len(draw(*corner, seed).objects) == 1

import cv2
import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import Variation
from metauas.synthesis.variation import cut_view, relight, view_matrix

CANVAS, SIZE = 60, 48


def pose(seed, variation, *, free=False):
    return view_matrix(rng_for("pose", seed), variation, canvas=CANVAS, size=SIZE, free=free)


def angle_of(matrix):
    return np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0]))


def test_no_variation_cuts_out_the_middle_to_the_bit():
    image = rng_for("image").random((CANVAS, CANVAS, 3), dtype=np.float32)
    view = cut_view(image, pose(0, Variation.off()), size=SIZE)
    assert (view == image[6:54, 6:54]).all()
    assert (relight(view, rng_for("light"), Variation.off()) == view).all()


def test_poses_stay_within_their_ranges_and_use_them():
    variation = Variation(rotation=10.0, shift=0.05, scale=0.05)
    matrices = [pose(seed, variation) for seed in range(200)]
    angles = np.array([angle_of(m) for m in matrices])
    scales = np.array([np.hypot(m[0, 0], m[0, 1]) for m in matrices])
    centres = np.array([m @ [CANVAS / 2, CANVAS / 2, 1] - SIZE / 2 for m in matrices]) / SIZE
    assert 9 < np.abs(angles).max() <= 10 + 1e-3
    assert 0.045 < np.abs(scales - 1).max() <= 0.05 + 1e-4
    assert 0.045 < np.abs(centres).max() <= 0.05 + 1e-4


def test_a_free_pose_turns_by_quarters_and_stays_on_the_canvas():
    square = np.ones((CANVAS, CANVAS), np.float32)
    angles = set()
    for seed in range(60):
        matrix = pose(seed, Variation.off(), free=True)
        angles.add(round(angle_of(matrix)) % 360)
        inside = cv2.warpAffine(square, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_CONSTANT)
        assert inside[2:-2, 2:-2].min() > 0.99, "no mirrored surroundings"
    assert angles == {0, 90, 180, 270}


def test_a_view_shows_what_its_matrix_says():
    image = np.zeros((CANVAS, CANVAS), np.float32)
    image[20:23, 35:38] = 1
    for seed in range(10):
        matrix = pose(seed, Variation())
        where = np.argwhere(cut_view(image, matrix, size=SIZE) > 0.3).mean(axis=0)[::-1]
        np.testing.assert_allclose(where, matrix @ [36, 21, 1], atol=0.75)


def relit(image, *, seed=0, **ranges):
    only = Variation(**{**dict.fromkeys(Variation.__dataclass_fields__, 0.0), **ranges})
    return relight(image, rng_for("light", seed), only)


def test_each_photometric_range_does_what_it_says():
    grey = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    brighter = [float(relit(grey, seed=s, brightness=0.1).mean()) - 0.5 for s in range(60)]
    assert 0.08 < np.abs(brighter).max() <= 0.1 + 1e-5
    picture = (0.5 + 0.1 * rng_for("picture").standard_normal((SIZE, SIZE, 3))).astype(np.float32)
    ratio = np.array([relit(picture, seed=s, contrast=0.2).std() / picture.std() for s in range(60)])
    assert 0.15 < np.abs(ratio - 1).max() <= 0.21
    shaded = relit(grey, shading=0.3)
    assert shaded[0, 0, 0] != shaded[-1, -1, 0]
    assert np.abs(shaded - 0.5).max() <= 0.5 * 0.3 + 1e-5
    assert relit(picture, seed=1, blur=5.0).std() < 0.7 * picture.std()
    noise = [float(relit(grey, seed=s, noise=0.05).std()) for s in range(40)]
    assert 0.035 < max(noise) < 0.055
    assert np.ptp(relit(picture, colour=0.2).std(axis=(0, 1))) > 2 * np.ptp(picture.std(axis=(0, 1)))


def test_relit_views_stay_images_and_depend_on_the_generator_alone():
    image = rng_for("image").random((SIZE, SIZE, 3), dtype=np.float32)
    strong = Variation(brightness=0.5, contrast=0.9, noise=0.3)
    first, again, other = (relight(image, rng_for(seed), strong) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert first.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 1


@pytest.mark.parametrize("name", list(Variation.__dataclass_fields__))
def test_off_switches_every_range_off(name):
    assert getattr(Variation.off(), name) == 0

import numpy as np

from metauas.seeding import rng_for
from metauas.synthesis import DrawnScenes, DrawnTextures
from metauas.synthesis.drawn.scenes import paint
from metauas.synthesis.drawn.shapes import draw_shape


def test_the_parts_of_a_scene_are_visible_and_apart():
    counts = set()
    for seed in range(25):
        picture = DrawnScenes().draw(rng_for("scene", seed), size=64)
        assert picture.image.shape == (64, 64, 3)
        assert picture.image.dtype == np.float32
        assert 0 <= picture.image.min() <= picture.image.max() <= 1
        assert all(part.any() for part in picture.objects)
        assert np.sum(picture.objects, axis=0).max() <= 1, "a pixel shows one part at most"
        assert not picture.stationary
        counts.add(len(picture.objects))
    assert len(counts) > 3


def test_scenes_depend_on_the_generator_alone():
    first, again, other = (DrawnScenes().draw(rng_for("scene", seed), size=48).image for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_paint_changes_the_part_and_nothing_far_from_it(grow):
    image = np.full((64, 64, 3), 0.5, np.float32)
    for seed in range(10):
        rng = rng_for("paint", seed)
        part = draw_shape(rng, size=64, centre=(30.0, 30.0), radius=12.0)
        painted = paint(rng, image=image, part=part)
        far = ~grow(part, 6)
        assert (painted[far] == image[far]).all()
        assert 0 <= painted.min() <= painted.max() <= 1
        assert np.abs(painted - image)[part].mean() > 0.01


def test_drawn_textures_are_stationary_and_without_objects():
    picture = DrawnTextures().draw(rng_for("texture"), size=32)
    assert picture.stationary
    assert picture.objects == ()
    assert picture.image.shape == (32, 32, 3)

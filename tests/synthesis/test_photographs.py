import numpy as np
import pytest

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.seeding import rng_for
from metauas.synthesis import TRAINING_PHOTOGRAPHS, VALIDATION_PHOTOGRAPHS, Photographs
from metauas.synthesis.pictures.photographs import embedded_photograph, load_segmented

MINIATURE = {"brick", "coins", "grass", "gravel"}
FEW = Photographs(names=("chelsea", "coffee"))


def test_training_validation_and_evaluation_share_no_photograph():
    training, validation = set(TRAINING_PHOTOGRAPHS), set(VALIDATION_PHOTOGRAPHS)
    assert len(training) == len(TRAINING_PHOTOGRAPHS)
    assert not training & validation
    assert not (training | validation) & MINIATURE
    assert not {"motorcycle_left", "motorcycle_right"} <= training | validation, "two views of one scene"


@pytest.mark.parametrize("name", [*TRAINING_PHOTOGRAPHS, *VALIDATION_PHOTOGRAPHS])
def test_every_embedded_photograph_is_in_the_wheel(name):
    photograph = embedded_photograph(name)
    assert photograph.dtype == np.uint8
    assert photograph.shape[2] == 3
    assert photograph.std() > 1


def test_an_unknown_photograph_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match=r"'chelsae'.*chelsea"):
        embedded_photograph("chelsae")


def test_objects_are_inner_segments_within_the_area_limits():
    found = 0
    for seed in range(30):
        picture = FEW.draw(rng_for("crop", seed), size=64)
        for mask in picture.objects:
            assert 0.004 <= mask.mean() <= 0.15
            assert mask[1:-1, 1:-1].sum() == mask.sum(), "none touches the border"
        if picture.objects:
            assert np.sum(picture.objects, axis=0).max() <= 1
        found += len(picture.objects)
    assert found > 30


def test_crops_depend_on_the_generator_alone_and_name_their_photograph():
    first, again = (FEW.draw(rng_for("crop", 3), size=48) for _ in range(2))
    assert (first.image == again.image).all()
    assert len(first.objects) == len(again.objects)
    crops = [FEW.draw(rng_for("crop", seed), size=48) for seed in range(20)]
    assert {crop.name for crop in crops} == set(FEW.names)
    assert len({crop.image.tobytes() for crop in crops}) == len(crops)
    for crop in crops:
        assert crop.image.shape == (48, 48, 3)
        assert crop.image.dtype == np.float32
        assert 0 <= crop.image.min() <= crop.image.max() <= 1


def test_a_crop_is_a_part_of_the_photograph(tmp_path):
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(64)[None, :] * 4, np.arange(64)[:, None] * 4
    write_png(tmp_path / "ramp.png", ramp)
    source = Photographs.from_folder(tmp_path)
    for seed in range(10):
        image = source.draw(rng_for("ramp", seed), size=32).image
        across, down = np.diff(image[..., 0], axis=1), np.diff(image[..., 1], axis=0)
        assert (across > 0).all() or (across < 0).all(), "whole, or mirrored left to right"
        assert (down > 0).all(), "never upside down"
        extent = abs(image[0, -1, 0] - image[0, 0, 0])
        assert 0.25 < extent < 1.01


def test_a_folder_gives_its_images_sorted(tmp_path):
    for name in ("b.png", "a.PNG", ".hidden.png"):
        write_png(tmp_path / name, np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    assert [name.rsplit("/", 1)[1] for name in Photographs.from_folder(tmp_path).names] == ["a.PNG", "b.png"]


def test_a_missing_or_empty_folder_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.*does not exist"):
        Photographs.from_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no image"):
        Photographs.from_folder(tmp_path / "empty")


def test_a_broken_photograph_is_named(tmp_path):
    write_png(tmp_path / "whole.png", np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"half\.png cannot be read"):
        Photographs(names=(str(tmp_path / "half.png"),)).draw(rng_for(0), size=32)


@pytest.mark.parametrize("shape", [(5, 5, 3), (1000, 8, 3)])
def test_a_photograph_too_small_or_narrow_is_named(tmp_path, shape):
    path = write_png(tmp_path / "narrow.png", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"narrow\.png .*too small or narrow"):
        load_segmented(str(path))


def test_large_photographs_are_reduced_before_segmentation(tmp_path):
    path = write_png(tmp_path / "large.png", np.zeros((100, 800, 3), np.uint8))
    photograph, segments = load_segmented(str(path))
    assert photograph.shape == (48, 384, 3)
    assert segments.shape == (48, 384)

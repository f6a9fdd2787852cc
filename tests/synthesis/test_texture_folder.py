import numpy as np
import pytest

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.seeding import rng_for
from metauas.synthesis import PictureSource, TextureFolder


@pytest.fixture
def dtd(tmp_path):
    """DTD's layout: two classes of pictures, and folders without pictures."""
    ramp = np.linspace(0, 1, 40, dtype=np.float32)
    for number in range(30):
        name = ("banded", "woven")[number % 2]
        pixels = np.stack([np.tile(ramp, (30, 1))] * 2 + [np.full((30, 40), number / 30, np.float32)], axis=2)
        write_png(tmp_path / "images" / name / f"{name}_{number:04}.png", pixels)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels_joint_anno.txt").write_text("banded/banded_0000.jpg banded")
    return tmp_path


def test_pictures_in_all_folders_are_cropped_turned_and_mirrored(dtd):
    textures = TextureFolder(dtd, split="all")
    assert isinstance(textures, PictureSource)
    assert len(textures) == 30
    brightest, names = set(), set()
    for seed in range(60):
        picture = textures.draw(rng_for(seed), size=24)
        assert picture.image.shape == (24, 24, 3)
        assert picture.objects == ()
        assert not picture.stationary
        red = picture.image[..., 0]
        rises = (red[0, -1] - red[0, 0], red[-1, 0] - red[0, 0])
        brightest.add((round(float(np.sign(rises[0]))), round(float(np.sign(rises[1])))))
        names.add(picture.name)
        assert picture.image[..., 2].mean() == pytest.approx(int(picture.name[-8:-4]) / 30, abs=0.01)
    assert brightest == {(1, 0), (-1, 0), (0, 1), (0, -1)}
    assert len(names) > 20
    assert TextureFolder(dtd, stationary=True).draw(rng_for(0), size=24).stationary


def test_a_texture_depends_on_the_generator_alone(dtd):
    first, again = (TextureFolder(dtd).draw(rng_for(5), size=32) for _ in range(2))
    assert (first.image == again.image).all()
    assert first.name == again.name


def test_training_and_validation_share_no_picture(dtd):
    train, held_out = (set(TextureFolder(dtd, split=split).files) for split in ("train", "validation"))
    assert not train & held_out
    assert len(train) + len(held_out) == 30


def test_what_is_wrong_with_the_folder_or_a_picture_is_named(dtd, tmp_path_factory):
    with pytest.raises(InputError, match=r"folder .*nowhere"):
        TextureFolder(dtd / "nowhere")
    with pytest.raises(InputError, match=r"hold 0 pictures"):
        TextureFolder(dtd / "labels")
    narrow = tmp_path_factory.mktemp("narrow")
    write_png(narrow / "thin.png", np.zeros((8, 90, 3), np.float32))
    with pytest.raises(InputError, match=r"thin\.png.*16"):
        TextureFolder(narrow, split="all").draw(rng_for(0), size=24)

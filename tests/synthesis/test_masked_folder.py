import numpy as np
import pytest
from PIL import Image

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.seeding import rng_for
from metauas.synthesis import MaskedFolder, PictureSource
from metauas.synthesis.pictures.masked_folder import objects_of, read_labels

LABELS = np.zeros((50, 60), np.uint8)
LABELS[5:15, 5:15], LABELS[5:15, 40:52], LABELS[30:42, 20:34] = 1, 1, 7
BINARY = (LABELS > 0).astype(np.uint8) * 255


@pytest.fixture
def folders(tmp_path):
    """Three photographs, two of them with a mask: one of labels, one binary."""
    for stem, labels in (("labels", LABELS), ("binary", BINARY), ("none", None)):
        pixels = np.full((*LABELS.shape, 3), 0.5, np.float32)
        pixels[LABELS > 0] = (1, 0, 0)
        write_png(tmp_path / "images" / f"{stem}.png", pixels)
        if labels is not None:
            write_png(tmp_path / "masks" / f"{stem}.png", labels)
    return tmp_path / "images", tmp_path / "masks"


def test_values_are_objects_and_the_regions_of_a_binary_mask_are():
    one, seven = objects_of(LABELS.astype(np.int32))
    assert (one == (LABELS == 1)).all()
    assert (seven == (LABELS == 7)).all()
    assert sorted(mask.sum() for mask in objects_of(BINARY.astype(np.int32))) == [100, 120, 168]
    assert sorted(mask.sum() for mask in objects_of(LABELS.astype(np.int32), void=7)) == [100, 120]
    assert objects_of(np.zeros((4, 4), np.int32)) == []


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "I;16", "1"])
def test_masks_are_read_in_every_mode_that_tools_write(tmp_path, mode):
    values = (LABELS > 0).astype(np.uint8) if mode == "1" else LABELS
    image = Image.fromarray(values.astype(np.uint16)) if mode == "I;16" else Image.fromarray(values)
    if mode == "P":
        image.putpalette([0, 0, 0, 200, 30, 40] + [90, 90, 0] * 254)
    if mode in ("RGB", "1"):
        image = image.convert("RGB") if mode == "RGB" else image.point(lambda v: 255 * v).convert("1")
    image.save(tmp_path / "mask.png")
    assert (read_labels(tmp_path / "mask.png") == values).all()


def test_coloured_and_damaged_masks_are_refused_by_name(tmp_path):
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(tmp_path / "colours.png")
    with pytest.raises(InputError, match=r"colours\.png.*grey or palette"):
        read_labels(tmp_path / "colours.png")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"damaged\.png cannot be read"):
        read_labels(tmp_path / "damaged.png")


def test_crops_show_masked_objects_of_the_photographs_that_have_a_mask(folders):
    pictures = MaskedFolder(*folders, split="all")
    assert isinstance(pictures, PictureSource)
    assert len(pictures) == 2
    names = set()
    for seed in range(30):
        picture, again = (pictures.draw(rng_for(seed), size=40) for _ in range(2))
        assert (picture.image == again.image).all()
        names.add(picture.name)
        red = picture.image[..., 0] - picture.image[..., 1] > 0.5
        marked = np.logical_or.reduce(picture.objects)
        assert marked.any()
        assert (marked & ~red).mean() < 0.02
    assert names == {"labels.png", "binary.png"}


def test_what_does_not_fit_is_named(folders, tmp_path):
    images, masks = folders
    with pytest.raises(InputError, match=r"folder .*elsewhere"):
        MaskedFolder(images, tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"0 of 3 images.*<stem>\.png"):
        MaskedFolder(images, tmp_path / "empty", split="all")
    for stem in ("labels", "binary"):
        write_png(masks / f"{stem}.png", LABELS[:40])
    with pytest.raises(InputError, match=r"masks.*differ in size.*40.*50"):
        MaskedFolder(images, masks, split="all").draw(rng_for(0), size=40)


def test_a_grey_mask_with_transparency_is_grey(tmp_path):
    grey = np.zeros((8, 8), np.uint8)
    grey[2:4, 2:4] = 7
    Image.merge("LA", [Image.fromarray(grey), Image.new("L", (8, 8), 255)]).save(tmp_path / "mask.png")
    assert (read_labels(tmp_path / "mask.png") == grey).all()

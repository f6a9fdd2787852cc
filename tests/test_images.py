import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.files.images import (
    list_images,
    read_image,
    read_mask,
    resize_images,
    resize_mask,
    stack_images,
    to_tensor,
    to_uint8,
    write_png,
)
from metauas.seeding import rng_for


def pixels(height=12, width=17):
    return rng_for("pixels").integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- reading


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_lossless_files_come_back_to_the_bit(tmp_path, ending):
    Image.fromarray(pixels()).save(tmp_path / f"a.{ending}")
    assert (read_image(tmp_path / f"a.{ending}") == pixels()).all()


def test_grey_palette_and_transparent_images_become_rgb(tmp_path):
    grey = pixels()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png") == grey[..., None]).all()
    flat = np.full((4, 4, 3), (10, 200, 30), np.uint8)
    Image.fromarray(flat).quantize(4).save(tmp_path / "palette.png")
    assert (read_image(tmp_path / "palette.png") == flat).all()
    Image.fromarray(np.dstack([pixels(), grey])).save(tmp_path / "alpha.png")
    assert (read_image(tmp_path / "alpha.png") == pixels()).all()


def test_sixteen_bit_grey_values_are_scaled_not_clipped(tmp_path):
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    assert (read_image(tmp_path / "deep.png")[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_images_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to show
    Image.fromarray(pixels()).save(tmp_path / "turned.png", exif=exif)
    assert (read_image(tmp_path / "turned.png") == np.rot90(pixels(), -1)).all()


@pytest.mark.parametrize("values", [(0, 1, 1, 1), (0, 1, 2, 3), (0, 255, 255, 255), (0, 7, 7, 7)])
def test_masks_of_one_value_or_numbered_ones_are_true_above_zero(tmp_path, values):
    Image.fromarray(np.array(values, np.uint8).reshape(2, 2)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_truncated_files_are_named(tmp_path, read, ending):
    Image.fromarray(pixels(200, 200)).save(tmp_path / f"whole.{ending}")
    content = (tmp_path / f"whole.{ending}").read_bytes()
    (tmp_path / f"half.{ending}").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"half\.{ending} cannot be read as an image.*replace the file"):
        read(tmp_path / f"half.{ending}")


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        read_image(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"is a folder, not a file"):
        read_image(tmp_path)


def test_an_image_too_large_to_be_true_is_named(tmp_path, monkeypatch):
    Image.fromarray(pixels(40, 40)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"bomb\.png cannot be read"):
        read_image(tmp_path / "bomb.png")


def test_images_are_listed_by_name_without_others(tmp_path):
    for name in ("b.JPG", "a.png", "c.txt", ".hidden.png", "d.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert [file.name for file in list_images(tmp_path)] == ["a.png", "b.JPG", "d.webp"]


# --- arrays and tensors


def test_bytes_survive_the_way_to_the_tensor_and_back():
    tensor = to_tensor(pixels())
    assert tensor.shape == (3, 12, 17)
    assert tensor.dtype == torch.float32
    assert tensor.max() <= 1
    assert (to_uint8(tensor) == pixels()).all()
    assert (to_tensor(pixels() / 255) - tensor).abs().max() < 1e-6
    assert to_tensor(pixels())[1, 2, 3] == np.float32(pixels()[2, 3, 1]) / np.float32(255)


def test_values_beyond_the_range_are_clipped_and_bytes_kept():
    assert to_uint8(np.array([[[-0.2, 0.5, 1.7]]])).tolist() == [[[0, 128, 255]]]
    assert to_uint8(pixels()) is not None
    assert (to_uint8(pixels()) == pixels()).all()


# --- resizing


@pytest.mark.parametrize("size", [(6, 9), (31, 20), (12, 17)])
def test_images_are_resized_bilinearly_without_antialiasing(size):
    images = to_tensor(pixels())[None]
    resized = resize_images(images, size)
    assert resized.shape == (1, 3, *size)
    # corners aligned, as the official code's: the first and last samples are the first and last pixels
    rows, columns = (torch.linspace(0, old - 1, n) for n, old in zip(size, (12, 17), strict=True))
    y, x = torch.meshgrid(rows / 11 * 2 - 1, columns / 16 * 2 - 1, indexing="ij")
    grid = torch.stack([x, y], dim=-1)[None]
    expected = F.grid_sample(images, grid, align_corners=True)
    torch.testing.assert_close(resized, expected, atol=1e-5, rtol=0)


def test_no_thin_defect_is_lost_when_a_mask_shrinks():
    for seed in range(20):
        mask = np.zeros((70, 50), bool)
        y, x = rng_for("defect", seed).integers(0, (70, 50))
        mask[y, x] = True
        small = resize_mask(mask, (16, 16))
        assert small.dtype == bool
        assert small[y * 16 // 70, x * 16 // 50]
        assert small.sum() <= 4


@pytest.mark.parametrize(("shape", "size"), [((90, 20), (26, 26)), ((20, 90), (26, 26)), ((127, 50), (51, 51))])
def test_no_thin_defect_is_lost_when_one_side_shrinks_and_the_other_grows(shape, size):
    for row in range(shape[0]):
        mask = np.zeros(shape, bool)
        mask[row] = True
        assert resize_mask(mask, size).any(axis=0).all()


def test_a_growing_mask_repeats_its_pixels():
    mask = np.array([[True, False], [False, True]])
    assert (resize_mask(mask, (6, 6)) == np.kron(mask, np.ones((3, 3), bool))).all()
    assert resize_mask(mask, (2, 2)) is mask


@pytest.mark.parametrize("size", [(16, 16), (64, 100)])
def test_empty_and_full_masks_stay_so(size):
    assert not resize_mask(np.zeros((30, 40), bool), size).any()
    assert resize_mask(np.ones((30, 40), bool), size).all()


# --- writing


def test_images_tensors_and_masks_are_written_as_png(tmp_path):
    assert (read_image(write_png(tmp_path / "a.png", pixels())) == pixels()).all()
    assert (read_image(write_png(tmp_path / "b.png", to_tensor(pixels()))) == pixels()).all()
    mask = pixels()[..., 0] > 100
    assert (read_mask(write_png(tmp_path / "c.png", mask)) == mask).all()
    assert np.asarray(Image.open(tmp_path / "c.png")).max() == 255
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]


def test_images_of_different_sizes_are_stacked(tmp_path):
    paths = [write_png(tmp_path / f"{n}.png", pixels(n, 2 * n)) for n in (8, 16, 24)]
    batch = stack_images(paths, size=16)
    assert batch.shape == (3, 3, 16, 16)
    torch.testing.assert_close(batch[1:2], resize_images(to_tensor(pixels(16, 32))[None], (16, 16)))

"""Images from strangers: every row of the table in ``metauas.files.decoding``."""

import struct
import subprocess
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from metauas.errors import InputError
from metauas.files import decoding
from metauas.files.decoding import FORMATS, MAX_PIXELS, upright_size
from metauas.files.images import IMAGE_SUFFIXES, decode_image, read_image, read_mask
from metauas.seeding import rng_for

COLOURS = rng_for("colours").integers(0, 256, (12, 17, 3), dtype=np.uint8)
PICTURE = Image.fromarray(COLOURS)
GREY = PICTURE.convert("L")


def png_of_size(width, height):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def saved(folder, image, name, **options):
    image.save(folder / name, **options)
    return folder / name


# --- refused


@pytest.mark.parametrize("read", [read_image, read_mask, upright_size])
@pytest.mark.parametrize("size", [(100_000, 100_000), (9_000, 10_000), (0, 5), (5, 0), (2**31 - 1, 2)])
def test_bombs_and_empty_images_are_refused_by_their_header(tmp_path, read, size):
    (tmp_path / "a.png").write_bytes(png_of_size(*size))
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image .*; replace the file or take it out"):
        read(tmp_path / "a.png")


def test_no_pixel_of_a_bomb_is_decoded(tmp_path, monkeypatch):
    file = saved(tmp_path, PICTURE, "a.png")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 12 * 17 - 1)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"its header says 17 × 12 pixels, more than 203"):
        read_image(file)


def test_the_limit_is_where_pillow_begins_to_warn():
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS


def test_no_program_is_started_for_a_file_of_another_format_whatever_its_name(tmp_path, monkeypatch):
    file = saved(tmp_path, PICTURE, "a.eps")
    file.rename(tmp_path / "a.png")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png")


def test_the_formats_let_in_are_those_of_the_suffixes():
    Image.init()
    assert {Image.EXTENSION[suffix].replace("DIB", "BMP") for suffix in IMAGE_SUFFIXES} == set(FORMATS)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_values_without_a_known_white_are_refused(tmp_path, mode):
    image = PICTURE.convert(mode)
    with pytest.raises(InputError, match=rf"mode {mode}; save it with 8 or 16 bits"):
        read_image(saved(tmp_path, image, "a.tif"))


# --- let in


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_whatever_the_file(tmp_path, name):
    deep = rng_for("deep").integers(0, 65536, (12, 17), dtype=np.uint16)
    pixels = read_image(saved(tmp_path, Image.fromarray(deep), name))
    assert (pixels == (deep >> 8)[..., None]).all()


def deep_file(folder, name, values):
    """Write 16-bit values, in grey or in colours."""
    path = folder / name
    cv2.imwrite(str(path), values)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_few_bits_in_a_16_bit_file_are_told_once_a_folder(tmp_path, caplog, name, bits):
    values = rng_for("deep").integers(0, 2**bits, (12, 17), dtype=np.uint16)
    pixels = [read_image(deep_file(tmp_path, name, values)) for _ in range(2)]
    assert (pixels[0][..., 0] == values >> 8).all()
    (record,) = caplog.records
    assert f"{name} has 16 bits a channel, but nothing in it reaches a quarter of white" in record.message


@pytest.mark.parametrize("name", ["b.png", "b.tif"])
def test_few_bits_of_colours_are_told_and_all_bits_are_not(tmp_path, caplog, name):
    values = rng_for("deep").integers(0, 65536, (12, 17, 3), dtype=np.uint16)
    assert (read_image(deep_file(tmp_path, name, values)) == values[..., ::-1] >> 8).all()
    assert not caplog.records
    read_image(deep_file(tmp_path, name, values >> 4))
    assert "has 16 bits a channel" in caplog.text


def test_a_file_that_says_its_white_is_scaled_by_it(tmp_path, caplog):
    values = rng_for("deep").integers(0, 4096, (12, 17), dtype=np.uint16)
    (tmp_path / "a.pgm").write_bytes(b"P5 17 12 4095\n" + values.astype(">u2").tobytes())
    found = read_image(tmp_path / "a.pgm")[..., 0].astype(int)
    assert np.abs(found - values / 4095 * 255).max() <= 1
    assert not caplog.records


def test_a_tiff_of_12_bits_is_scaled_by_them(tmp_path, caplog):
    values = rng_for("deep").integers(0, 4096, (6, 8))
    bits = "".join(f"{value:012b}" for value in values.ravel())
    pixels = int(bits, 2).to_bytes(len(bits) // 8)
    tags = {256: 8, 257: 6, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 6, 279: len(pixels)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = [b"II*\0", struct.pack("<I", 8 + len(pixels)), pixels, struct.pack("<H", len(tags)), directory, bytes(4)]
    (tmp_path / "a.tif").write_bytes(b"".join(content))
    assert (read_image(tmp_path / "a.tif")[..., 0] == values >> 4).all()
    assert not caplog.records


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.tif"), ("CMYK", "a.jpg"), ("YCbCr", "a.tif")])
def test_print_and_video_colours_become_rgb(tmp_path, mode, name):
    flat = Image.new("RGB", (16, 16), (200, 40, 90))
    pixels = read_image(saved(tmp_path, flat.convert(mode), name)).astype(int)
    assert np.abs(pixels - (200, 40, 90)).max() <= 3, "JPEG and the conversion round"


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 256, 16))])
def test_a_palette_gives_its_colours_transparent_or_not(tmp_path, transparency):
    palette = PICTURE.quantize(16)
    options = {} if transparency is None else {"transparency": transparency}
    assert (read_image(saved(tmp_path, palette, "a.png", **options)) == np.asarray(palette.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_left_out(tmp_path, mode):
    image = PICTURE.convert(mode)
    image.putalpha(0)
    assert (read_image(saved(tmp_path, image, "a.png")) == np.asarray(PICTURE.convert(mode).convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_is_in_all_channels(tmp_path, mode):
    image = PICTURE.convert(mode)
    assert (read_image(saved(tmp_path, image, "a.png")) == np.asarray(image.convert("L"))[..., None]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright_and_so_is_the_size(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(tmp_path, PICTURE, "a.png", exif=exif)
    turned = read_image(file)
    assert upright_size(file) == turned.shape[1::-1]
    assert sorted(turned.reshape(-1, 3).tolist()) == sorted(COLOURS.reshape(-1, 3).tolist())
    assert (turned.shape[:2] == (17, 12)) == (orientation >= 5)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_tiffs_are_turned_once_whatever_their_compression(tmp_path, mode, compression, orientation):
    """Pillow maps some raw TIFFs into memory when it is handed their path, and turns those twice."""
    deep = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 256)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif, "compression": compression}
    file = saved(tmp_path, deep if mode == "I;16" else PICTURE.convert(mode), "a.tif", **options)
    shown = GREY.convert("RGB") if mode in ("L", "I;16") else PICTURE
    turned = read_image(saved(tmp_path, shown, "a.png", exif=exif))
    np.testing.assert_array_equal(read_image(file), turned)
    assert upright_size(file) == upright_size(tmp_path / "a.png") == turned.shape[1::-1]


def test_an_orientation_that_a_png_has_in_its_xmp_counts(tmp_path):
    info = PngImagePlugin.PngInfo()
    about = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    info.add_itxt("XML:com.adobe.xmp", about)
    file = saved(tmp_path, PICTURE, "a.png", pnginfo=info)
    assert upright_size(file) == read_image(file).shape[1::-1] == (12, 17)


def test_of_several_pages_the_first_is_read(tmp_path):
    file = saved(tmp_path, PICTURE, "a.tif", save_all=True, append_images=[Image.new("RGB", (3, 3))])
    assert (read_image(file) == COLOURS).all()


def test_bytes_are_read_as_files_are_and_named_by_their_origin(tmp_path):
    content = saved(tmp_path, PICTURE, "a.png").read_bytes()
    assert (decode_image(content, origin="row 3") == COLOURS).all()
    with pytest.raises(InputError, match="row 3 cannot be read as an image"):
        decode_image(content[:-60], origin="row 3")


# --- masks


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I", "F", "RGB", "RGBA", "P"])
def test_a_mask_is_true_where_any_channel_is_above_zero(tmp_path, mode):
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[1, 2] = (0, 0, 1) if mode in ("RGB", "RGBA", "P") else (255, 255, 255)
    image = (
        Image.fromarray(blue).quantize(4)
        if mode == "P"
        else Image.fromarray(blue).convert("L" if ";" in mode else mode)
    )
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image) > 0).astype(np.uint16))
    mask = read_mask(saved(tmp_path, image, "a.tif"))
    assert np.argwhere(mask).tolist() == [[1, 2]]

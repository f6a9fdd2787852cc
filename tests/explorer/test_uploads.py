"""What is let in, and what is refused before it is decoded."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from metauas.errors import InputError
from metauas.explorer import read_upload, uploads


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size and has next to no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_arrive_as_they_are(picture, as_file, kind):
    np.testing.assert_array_equal(read_upload(as_file(picture, kind), name="a"), picture)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_formats_arrive(picture, as_file, kind):
    assert read_upload(as_file(picture, kind), name="a").shape == picture.shape


def test_a_photograph_is_turned_upright(picture, as_file):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert read_upload(as_file(picture, "JPEG", exif=exif), name="a").shape == (60, 40, 3)


def test_large_pictures_are_reduced(as_file):
    image = np.zeros((20, 4000, 3), dtype=np.uint8)
    assert read_upload(as_file(image), name="a").shape == (8, uploads.LONGEST, 3)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (20_000, 3_000), (12_000, 12_000)])
def test_a_bomb_is_refused_by_its_header(width, height, monkeypatch):
    monkeypatch.setattr(uploads, "decode_image", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match=r"bomb\.png (has .* pixels; give .* at most 50 million|cannot be read)"):
        read_upload(png_header(width, height), name="bomb.png")


def test_too_many_bytes_are_refused_unseen(monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(InputError, match=r"big\.png has 8\.0 MiB; give a picture of at most 8 MiB"):
        read_upload(b"\0" * (uploads.MAX_BYTES + 1), name="big.png")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"PK\x03\x04",
        b"GIF89a",
    ],
    ids=["nothing", "text", "svg", "postscript", "zip", "gif"],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(InputError, match=r"x\.png cannot be read as a picture; give a PNG, JPEG, WEBP, BMP or TIFF"):
        read_upload(data, name="x.png")


def test_animations_are_refused(picture, as_file):
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_upload(as_file(picture, "GIF"), name="a.gif")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_cut_files_are_refused(picture, as_file, kind):
    whole = as_file(picture, kind)
    for length in range(0, len(whole) // 2, max(1, len(whole) // 25)):
        with pytest.raises(InputError, match=r"^cut cannot be read as"):
            read_upload(whole[:length], name="cut")

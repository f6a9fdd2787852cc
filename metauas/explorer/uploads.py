"""Uploaded pictures: checks before they are decoded. Nothing is written to disk."""

import io
import warnings

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from metauas.errors import InputError
from metauas.files.images import decode_image

MAX_BYTES = 8 * 2**20  # below the 10 MiB at which the web server cuts a message off
MAX_PIXELS = 50_000_000  # as from phones; 150 MB while it is decoded
LONGEST = 1536  # pixels; larger pictures are reduced, to save memory
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")  # of Pillow's; not those that start other programs
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def read_upload(data: bytes, *, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an uploaded picture, turned upright, its longer side at most ``LONGEST`` pixels.

    Size in bytes, format and size in pixels are checked before anything is decoded.

    Raises:
        InputError: naming the picture, what is wrong and what would be right.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} has {len(data) / 2**20:.1f} MiB; give a picture of at most {MAX_BYTES >> 20} MiB")
    width, height = _size(data, name=name)
    if width * height > MAX_PIXELS:
        most = MAX_PIXELS // 1_000_000
        raise InputError(f"{name} has {width} × {height} pixels; give a picture of at most {most} million")
    return _reduced(decode_image(data, origin=name))


def _size(data: bytes, *, name: str) -> tuple[int, int]:
    """Read width and height from the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return image.size
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        kinds = ", ".join(FORMATS[:-1]) + f" or {FORMATS[-1]}"
        raise InputError(f"{name} cannot be read as a picture; give a {kinds} file") from error


def _reduced(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    height, width = image.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))

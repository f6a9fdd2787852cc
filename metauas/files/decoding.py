"""The reader of image files from any source: which files are read, and how.

| file | outcome |
|---|---|
| more than ``MAX_PIXELS`` by its header, a bomb | refused before a pixel is decoded |
| truncated, damaged, zero-sized, no image | refused |
| another format than ``FORMATS``, whatever its name says | refused; no program such as Ghostscript is ever started |
| grey, 1 bit to 8 | the grey value in all three channels |
| 16 bits | the upper 8, scaled and never clipped; logged if all are below a quarter of white |
| 10 to 14 bits by the header (TIFF, PGM) | scaled by that depth |
| 32-bit integers, floating point, LAB, HSV | refused: no value is defined as white |
| palette | its colours |
| transparency, in any mode | ignored; the colours below it are used |
| CMYK, YCbCr | RGB by Pillow's formula, without a colour profile |
| EXIF orientation | turned upright |
| several pages or frames | the first |
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from metauas.errors import InputError
from metauas.files import require_file

#: Pixels that an image may have, a quarter of a gigabyte as RGB: Pillow's own limit, where it only warns.
MAX_PIXELS = 1024**3 // 4 // 3
#: The formats that are read, by content and not by name, with their suffixes. Some of Pillow's other formats start
#: programs.
SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "GIF": (".gif",),
}
FORMATS = tuple(SUFFIXES)

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_TO_RGB = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa", "CMYK", "YCbCr")
_SAYS_ORIENTATION = ("exif", "Raw profile type exif", "XML:com.adobe.xmp")  # of a PNG, all before its pixels
_TIFF_SIZE = (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength)
_TURNED = (5, 6, 7, 8)  # EXIF orientations in which width and height change places


@contextmanager
def open_image(path: str | Path, *, data: bytes | None = None, what: str = "an image") -> Iterator[Image.Image]:
    """Yield an image with a checked header, not decoded yet; errors in the block name the file.

    Args:
        path: the file, or the name for ``data`` in errors.
        data: the file's bytes, if there is no file.
        what: the expected kind of file, for the errors.

    Raises:
        InputError: naming the file if it is missing, truncated, too large, or no image of ``FORMATS``.
    """
    if data is None:
        require_file(path)
    try:
        # a file object, not a path: Pillow maps raw TIFFs of a path into memory and turns some twice
        with (
            Path(path).open("rb") if data is None else io.BytesIO(data) as source,
            Image.open(source, formats=FORMATS) as image,
        ):
            _check_size(image)
            yield image
    except Exception as error:  # on garbage Pillow raises almost any of them
        reason = str(error) or type(error).__name__
        raise InputError(f"{path} cannot be read as {what} ({reason}); replace the file or take it out") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < 1:
        raise InputError(f"it has {width} × {height} pixels")
    if width * height > MAX_PIXELS:
        raise InputError(f"its header says {width} × {height} pixels, more than {MAX_PIXELS}")


def upright(image: Image.Image) -> Image.Image:
    """Return the decoded image, turned as its EXIF orientation says, its values scaled to 8 or 16 bits."""
    image.load()
    turned = ImageOps.exif_transpose(image)
    bits = image.tag_v2.get(ExifTags.Base.BitsPerSample, (16,))[0] if isinstance(image, TiffImageFile) else 16
    if image.mode in _SIXTEEN_BITS and bits < 16:
        return Image.fromarray(np.asarray(turned).astype(np.uint16) << (16 - bits))
    if image.mode == "I" and image.format == "PPM":  # 16 bits, which Pillow has scaled by the header's white
        return Image.fromarray(np.asarray(turned).astype(np.uint16))
    return turned


def is_deep(image: Image.Image) -> bool:
    """Return whether an image that is not decoded yet has 16 bits a channel in its file."""
    raw = [str(tile.args) for tile in getattr(image, "tile", ())]
    return image.mode in _SIXTEEN_BITS or any(";16" in args for args in raw)


def upright_size(path: str | Path) -> tuple[int, int]:
    """Return (width, height) in pixels from the header alone, turned as reading does by EXIF.

    Raises:
        InputError: as ``open_image``.
    """
    with open_image(path) as image:
        # Pillow decodes a whole PNG to look for EXIF after the pixels, where no program writes it
        known = image.format != "PNG" or any(key in image.info for key in _SAYS_ORIENTATION)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if known else 1
        width, height = image.size
        if isinstance(image, TiffImageFile):  # whose size is turned already; its tags are not
            width, height = (image.tag_v2[tag] for tag in _TIFF_SIZE)
    return (height, width) if orientation in _TURNED else (width, height)


def rgb_bytes(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Return a decoded image as RGB bytes (H, W, 3); see the table above.

    Raises:
        InputError: its mode does not define a value as white.
    """
    if image.mode in _SIXTEEN_BITS:  # Pillow would clip them, to white almost everywhere
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode not in _TO_RGB:
        raise InputError(f"its pixels are of mode {image.mode}; save it with 8 or 16 bits a channel")
    if "transparency" in image.info:  # of a palette
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))

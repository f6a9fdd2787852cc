"""Reading, resizing and writing images and masks.

On disk and in synthesis an image is a NumPy array (H, W, 3), RGB; for the model it is a float32 tensor (3, H, W)
in [0, 1]. A mask is boolean (H, W), True where something changed or is defective.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from metauas.files import atomic_path
from metauas.files.decoding import SUFFIXES, is_deep, open_image, rgb_bytes, upright
from metauas.files.listing import files_in
from metauas.files.masks import judge_mask

IMAGE_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
#: The warning about a picture with 14 bits or fewer in 16. A scale by each picture's own values would flicker.
DARK = (
    "has 16 bits a channel, but nothing in it reaches a quarter of white, so that at most 64 of 256 greys are left; "
    "if its values have 10, 12 or 14 bits, multiply them by 64, 16 or 4"
)
DARK_BELOW = 64  # of 256

_log = logging.getLogger("metauas")
_told: set[tuple[str, Path]] = set()


def list_images(folder: str | Path) -> list[Path]:
    """Return the image files directly in ``folder``, sorted by name, as ``metauas.files.listing`` lists them."""
    return files_in(folder, suffixes=IMAGE_SUFFIXES)


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as RGB bytes (H, W, 3), turned upright; ``metauas.files.decoding`` lists the formats.

    Raises:
        InputError: naming the file if it is missing, truncated, too large or no image.
    """
    with open_image(path) as image:
        deep = is_deep(image)
        pixels = rgb_bytes(upright(image))
    if deep and pixels.max() < DARK_BELOW:
        _tell_once("depth", Path(path), DARK)
    return pixels


def _tell_once(what: str, path: Path, text: str) -> None:
    """Log a text about a file, but only for the first such file of a folder."""
    if (what, path.parent) not in _told:
        _told.add((what, path.parent))
        _log.warning("%s %s", path, text)


def decode_image(data: bytes, *, origin: str) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the bytes of an image file as ``read_image`` does; ``origin`` names them in errors."""
    with open_image(origin, data=data) as image:
        return rgb_bytes(upright(image))


def read_mask(path: str | Path) -> Bool[np.ndarray, "h w"]:
    """Read a benchmark's mask file as booleans (H, W); ``metauas.files.masks`` defines the marked pixels.

    Raises:
        InputError: naming the file if it is missing, truncated, too large or no image.
    """
    reading = judge_mask(path)
    if reading.doubt:
        _tell_once("mask", Path(path), reading.doubt)
    return reading.marked


def to_tensor(image: np.ndarray) -> Float[Tensor, "3 h w"]:
    """Turn an RGB array (H, W, 3), uint8 or float in [0, 1], into a float32 tensor (3, H, W) in [0, 1]."""
    scale = 255.0 if image.dtype == np.uint8 else 1.0
    array = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(array / np.float32(scale))


def to_uint8(image: np.ndarray | Tensor) -> UInt8[np.ndarray, "h w 3"]:
    """Turn a float image in [0, 1], array (H, W, 3) or tensor (3, H, W), into RGB bytes (H, W, 3)."""
    array = image.detach().cpu().numpy().transpose(1, 2, 0) if isinstance(image, Tensor) else image
    if array.dtype == np.uint8:
        return array
    return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)


def resize_images(images: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """Resize to ``size`` (height, width) as the official code does: bilinear, corners aligned, no antialiasing."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images, size=tuple(size), mode="bilinear", align_corners=True, antialias=False)


def resize_mask(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Bool[np.ndarray, "h2 w2"]:
    """Resize a mask to ``size`` (height, width) so that it stays binary.

    Nearest neighbour on growing; on shrinking a pixel is True if any of its area is, so that no thin defect is lost.
    """
    if mask.shape == tuple(size):
        return mask
    height, width = size
    # shrink first: OpenCV averages areas only if no side grows
    small = (min(width, mask.shape[1]), min(height, mask.shape[0]))
    shrunk = np.asarray(cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA)) > 0
    return np.asarray(cv2.resize(shrunk.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)) > 0


def resize_mask_official(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Bool[np.ndarray, "h2 w2"]:
    """Resize a mask to ``size`` (height, width) as the official code does: as an image, then True where it is above 0.

    On shrinking to less than half, thin defects may be lost; ``resize_mask`` keeps them.
    """
    values = torch.from_numpy(mask.astype(np.float32))[None, None]
    return resize_images(values, size)[0, 0].numpy() > 0


def write_png(path: str | Path, image: np.ndarray | Tensor) -> Path:
    """Write an image (H, W, 3) / (3, H, W) or a mask (H, W) as PNG, atomically, and return the path."""
    is_mask = isinstance(image, np.ndarray) and image.dtype == np.bool_
    array = np.asarray(image, dtype=np.uint8) * 255 if is_mask else image
    pixels = array if isinstance(array, np.ndarray) and array.ndim == 2 else to_uint8(array)
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
    return Path(path)


def stack_images(paths: Iterable[str | Path], *, size: int) -> Float[Tensor, "b 3 size size"]:
    """Read images and resize each to ``size`` × ``size``."""
    return torch.cat([resize_images(to_tensor(read_image(path))[None], (size, size)) for path in paths])

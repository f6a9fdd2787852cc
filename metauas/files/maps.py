"""One anomaly map as a file: 16-bit grey PNG."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32

from metauas.errors import InputError
from metauas.files import atomic_path
from metauas.files.decoding import open_image

#: The grey value of 1. The rounding error of a map is at most half of 1 / 65535.
WHITE = 2**16 - 1


def write_map(path: str | Path, values: Float[np.ndarray, "h w"]) -> Path:
    """Write a map in [0, 1] as 16-bit grey PNG, atomically, and return the path."""
    pixels = np.rint(np.clip(values, 0, 1) * WHITE).astype(np.uint16)
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())  # cv2.imwrite ignores a full disk
    return Path(path)


def read_map(path: str | Path) -> Float32[np.ndarray, "h w"]:
    """Read a map written by ``write_map``, in [0, 1].

    Raises:
        InputError: naming the file if it is missing or not a 16-bit grey PNG.
    """
    with open_image(path, what="a map") as image:
        if not image.mode.startswith("I;16"):
            raise InputError("it has no 16-bit grey values, as evaluation writes them")
        return (np.asarray(image) / WHITE).astype(np.float32)

"""Anomaly maps on disk: 16-bit PNG files, arranged as the images that they are of."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32

from metauas.errors import InputError
from metauas.eval.layouts import Benchmark, Category, Sample
from metauas.files import atomic_path
from metauas.image_files import open_image

#: The grey value that stands for 1; maps are kept to half of 1 / 65535.
WHITE = 2**16 - 1


class MapWriter:
    """Writes the maps of an evaluation as ``out/seed-1/<path of the image in the benchmark>.png``.

    Args:
        out: the folder; made when the first map is written.
        benchmark: where the images lie.

    Raises:
        InputError: two images differ in nothing but their suffix, so that their maps would collide.
    """

    def __init__(self, out: str | Path, benchmark: Benchmark) -> None:
        self._out = Path(out)
        self._root = benchmark.root
        samples = [sample for category in benchmark.categories for sample in category.test]
        for name, count in Counter(map(self._name, samples)).items():
            if count > 1:
                raise InputError(f"{count} images would have the map {name}; rename them, or do without maps")

    def __call__(self, category: Category, seed: int, maps: Float[np.ndarray, "n h w"]) -> None:
        """Write the maps of all test images of a category, in their order."""
        for sample, values in zip(category.test, maps, strict=True):
            write_map(self._out / f"seed-{seed}" / self._name(sample), values)

    def _name(self, sample: Sample) -> Path:
        return sample.path.relative_to(self._root).with_suffix(".png")


def write_map(path: str | Path, values: Float[np.ndarray, "h w"]) -> Path:
    """Write a map in [0, 1] as 16-bit grey PNG, atomically, and return the path."""
    pixels = np.rint(np.clip(values, 0, 1) * WHITE).astype(np.uint16)
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())  # by itself OpenCV does not notice a full disk
    return Path(path)


def read_map(path: str | Path) -> Float32[np.ndarray, "h w"]:
    """Read a map written by ``write_map``, in [0, 1].

    Raises:
        InputError: naming the file if it is missing or no 16-bit grey PNG.
    """
    with open_image(path, what="a map") as image:
        if not image.mode.startswith("I;16"):
            raise InputError("it has no 16-bit grey values, as evaluation writes them")
        return (np.asarray(image) / WHITE).astype(np.float32)

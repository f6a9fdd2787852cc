"""Photographs of scikit-image's wheel or of a folder, cut into crops whose segments are the objects."""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Int32
from skimage import data
from skimage.segmentation import felzenszwalb

from metauas.errors import InputError
from metauas.files import require_folder
from metauas.files.images import list_images, read_image
from metauas.files.listing import NOT_READ, LeftOut, pictures_left_out, tell_left_out
from metauas.synthesis.pictures.crops import check_croppable, random_window
from metauas.synthesis.pictures.picture import Picture

#: Photographs in the wheel. Those of the benchmark Miniature (brick, coins, grass, gravel) are left out, and so is
#: `motorcycle_right`, the other view of `motorcycle_left`.
TRAINING_PHOTOGRAPHS = (
    "astronaut", "camera", "cell", "chelsea", "clock_motion", "color", "hubble_deep_field", "ihc",
    "microaneurysms", "moon", "motorcycle_left", "page", "retina", "text",
)  # fmt: skip
#: Held out from training: validation pairs come from these.
VALIDATION_PHOTOGRAPHS = ("coffee", "rocket")

_LONG_SIDE = 384  # pixels; segments of larger copies cost seconds and are no better
_SMALLEST_WINDOW = 0.35  # share of the shorter side


@dataclass(frozen=True)
class Photographs:
    """A source that crops photographs at random places and scales.

    Its objects are segments by Felzenszwalb and Huttenlocher's graph-based method (IJCV 2004). They follow real
    contours without any annotation.

    Attributes:
        names: scikit-image file stems, or image paths.
        area: smallest and largest share of the crop that a segment may cover to count as an object.
        left_out: pictures of the folder that are not used, each with the reason.
    """

    names: tuple[str, ...] = TRAINING_PHOTOGRAPHS
    area: tuple[float, float] = (0.004, 0.15)
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Photographs":
        """Use every image directly in ``folder``.

        Raises:
            InputError: if the folder is missing or holds no image.
        """
        root = require_folder(folder)
        files = list_images(root)
        if not files:
            raise InputError(f"folder {folder} holds no image; put photographs (png, jpg, …) directly into it")
        deeper = f"is one folder deeper than {root}; move it there"
        unused = pictures_left_out(root, used=set(files), reason=lambda f: NOT_READ if f.parent == root else deeper)
        left_out = tuple(unused)
        tell_left_out(folder, left_out)
        return cls(names=tuple(str(file) for file in files), left_out=left_out)

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a random crop, resized to ``size``, with its segments."""
        name = self.names[int(rng.integers(len(self.names)))]
        photograph, segments = load_segmented(name)
        window = random_window(rng, shape=photograph.shape[:2], smallest=_SMALLEST_WINDOW)
        image = cv2.resize(photograph[window], (size, size), interpolation=cv2.INTER_AREA)
        label = cv2.resize(segments[window], (size, size), interpolation=cv2.INTER_NEAREST)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        pixels = np.ascontiguousarray(image, dtype=np.float32) / np.float32(255)
        return Picture(image=pixels, objects=_objects(label, area=self.area), name=name)


def split_photographs(folder: str | Path | None, *, split: str) -> Photographs:
    """Return the photographs of a split: scikit-image's, or those of a folder, of which every 20th is held out.

    Raises:
        InputError: the folder is missing, or holds fewer than two images.
    """
    if folder is None:
        return Photographs(names=VALIDATION_PHOTOGRAPHS if split == "validation" else TRAINING_PHOTOGRAPHS)
    names = Photographs.from_folder(folder).names
    if len(names) < 2:
        raise InputError(f"folder {folder} holds one image; give at least two, as one is held out for validation")
    held_out = names[:: min(20, len(names))]
    left_out = set(held_out)
    return Photographs(names=held_out if split == "validation" else tuple(n for n in names if n not in left_out))


def _objects(label: np.ndarray, *, area: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Return the masks of the segments that have an area within limits and do not touch the border."""
    counts = np.bincount(label.ravel())
    border = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    fits = (counts >= area[0] * label.size) & (counts <= area[1] * label.size)
    fits[np.unique(border)] = False
    return tuple(label == index for index in np.flatnonzero(fits))


@lru_cache(maxsize=512)
def load_segmented(name: str) -> tuple[np.ndarray, Int32[np.ndarray, "h w"]]:
    """Return the photograph (H, W, 3) uint8, long side at most 384 pixels, and its segment labels (H, W).

    Raises:
        InputError: naming a file that is no image, or is too small or narrow to be cropped.
    """
    photograph = read_image(name) if Path(name).suffix else embedded_photograph(name)
    scale = min(1.0, _LONG_SIDE / max(photograph.shape[:2]))
    check_croppable(photograph, name=name, scale=scale)
    photograph = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    segments = felzenszwalb(photograph, scale=150, sigma=0.8, min_size=60)
    return photograph, segments.astype(np.int32)


@cache
def embedded_photograph(name: str) -> np.ndarray:
    """Return one of scikit-image's photographs as RGB bytes (H, W, 3), from the wheel alone.

    Raises:
        InputError: naming the photographs that exist.
    """
    folder = Path(str(data.__file__)).parent
    files = {file.stem: file for file in list_images(folder)}
    if name not in files:
        raise InputError(f"scikit-image has no photograph {name!r}; it has {', '.join(files)}")
    return read_image(files[name])

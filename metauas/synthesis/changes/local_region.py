"""Local-region change after DRAEM (Zavrtanik et al., ICCV 2021): a region takes on a foreign appearance.

Inside of a *region*, the picture is blended with a *filling* at opacity β: ``(1 − β)·image + β·filling``. Thresholded
Perlin noise as region and a foreign texture as filling are DRAEM's. The other regions and fillings are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from metauas.errors import InputError, check_choice
from metauas.synthesis.changes.augmentation import augment_texture
from metauas.synthesis.changes.fillings import OWN_FILLINGS
from metauas.synthesis.changes.objects import shape_anywhere
from metauas.synthesis.drawn.noise import perlin_noise
from metauas.synthesis.drawn.shapes import on_circle
from metauas.synthesis.pictures.picture import PictureSource

Region = Callable[[np.random.Generator, int], np.ndarray]


def perlin_region(rng: np.random.Generator, size: int, *, threshold: float = 0.5) -> Bool[np.ndarray, "s s"]:
    """DRAEM's region: Perlin noise on 2⁰ … 2⁵ cells per axis, turned by up to ±90°, above 0.5."""
    cells = (int(2 ** rng.integers(0, 6)), int(2 ** rng.integers(0, 6)))
    noise = perlin_noise(rng, shape=(size, size), cells=cells)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-90, 90), 1.0)
    return cv2.warpAffine(noise, turn, (size, size)) > threshold


def stroke_region(rng: np.random.Generator, size: int) -> Bool[np.ndarray, "s s"]:
    """A scratch or crack: a thin line of slowly turning direction and varying width."""
    steps = int(rng.integers(6, 40))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.05, 0.5), steps))
    stride = size * rng.uniform(0.008, 0.03)
    path = size * rng.uniform(0.15, 0.85, 2) + stride * np.cumsum(on_circle(heading), axis=0)
    canvas = np.zeros((size, size), np.uint8)
    points = np.rint(path).astype(int).tolist()
    for start, end in pairwise(points):
        cv2.line(canvas, start, end, 1, thickness=int(rng.integers(1, 2 + max(1, size // 48))))
    return canvas > 0


def crack_region(
    rng: np.random.Generator, size: int, *, lengths: tuple[float, float] = (0.15, 0.8), widest: float = 1 / 32
) -> Bool[np.ndarray, "s s"]:
    """A crack: a jagged path of varying width that may branch; ``lengths`` and ``widest`` are shares of the side."""
    canvas = np.zeros((size, size), np.uint8)
    start, heading = size * rng.uniform(0.05, 0.95, 2), rng.uniform(0, 2 * np.pi)
    length, width = size * rng.uniform(*lengths), rng.uniform(1, 1 + size * widest)
    path = _jagged(rng, start=start, heading=heading, length=length)
    _draw_tapering(rng, canvas, path, width=width)
    for _ in range(int(rng.integers(0, 4))):
        fork = path[int(rng.integers(len(path)))]
        aside = heading + rng.choice([-1, 1]) * rng.uniform(0.3, 1.4)
        branch = _jagged(rng, start=fork, heading=aside, length=length * rng.uniform(0.1, 0.6))
        _draw_tapering(rng, canvas, branch, width=0.6 * width)
    return canvas > 0


def hairline_region(rng: np.random.Generator, size: int) -> Bool[np.ndarray, "s s"]:
    """A long and thin crack, often from border to border."""
    return crack_region(rng, size, lengths=(0.4, 1.5), widest=1 / 100)


def _jagged(rng: np.random.Generator, *, start: np.ndarray, heading: float, length: float) -> np.ndarray:
    """Return a path (n, 2) by midpoint displacement (Fournier et al., 1982)."""
    path = np.stack([start, start + length * on_circle(heading)])
    aside = length * rng.uniform(0.06, 0.2)
    for _ in range(5):
        middles = (path[1:] + path[:-1]) / 2 + rng.normal(0, aside, (len(path) - 1, 2))
        path = np.insert(path, np.arange(1, len(path)), middles, axis=0)
        aside /= 2
    return path


def _draw_tapering(rng: np.random.Generator, canvas: np.ndarray, path: np.ndarray, *, width: float) -> None:
    taper = np.linspace(1, 0.2, len(path)) * rng.uniform(0.5, 1.3, len(path))
    points = np.rint(path).astype(int).tolist()
    for start, end, share in zip(points, points[1:], taper, strict=False):
        cv2.line(canvas, start, end, 1, thickness=max(1, round(width * float(share))))


def spot_region(rng: np.random.Generator, size: int) -> Bool[np.ndarray, "s s"]:
    """One to four spots of any outline."""
    return np.logical_or.reduce([shape_anywhere(rng, size=size) for _ in range(int(rng.integers(1, 5)))])


REGIONS: dict[str, Region] = {
    "perlin": perlin_region,
    "stroke": stroke_region,
    "spot": spot_region,
    "crack": crack_region,
    "hairline": hairline_region,
}
FILLINGS = ("texture", *OWN_FILLINGS)

#: Default regions and fillings of a local change.
USUAL_REGIONS = ("perlin", "stroke", "spot")
USUAL_FILLINGS = ("texture", "tint", "elsewhere")

#: Keyword arguments of ``LocalChange``: ours, DRAEM's as published, and those of MetaUAS' public reproductions.
LOCAL_PRESETS: dict[str, dict[str, Any]] = {
    "ours": {},
    "draem": {
        "regions": ("perlin",),
        "fillings": ("texture",),
        "opacity": (0.2, 1.0),
        "augment": True,
        "soft_edges": 0.0,
    },
    "reproduction": {"regions": ("perlin",), "fillings": ("texture",), "opacity": (0.3, 1.0), "soft_edges": 0.0},
}


@dataclass(frozen=True)
class LocalChange:
    """Changes a local region of a picture.

    Attributes:
        textures: source of foreign textures.
        regions: names out of ``REGIONS``; one is drawn for each change.
        fillings: names out of ``FILLINGS``; one is drawn for each change.
        opacity: range of β. DRAEM: (0.2, 1); the MetaUAS reproductions: (0.3, 1); ours: (0.1, 1).
        augment: whether foreign textures go through three of DRAEM's ten augmenters first.
        soft_edges: share of the regions with a blurred edge, because a hard edge is a cue. DRAEM: 0.
    """

    textures: PictureSource
    regions: tuple[str, ...] = USUAL_REGIONS
    fillings: tuple[str, ...] = USUAL_FILLINGS
    opacity: tuple[float, float] = (0.1, 1.0)
    augment: bool = False
    soft_edges: float = 0.5

    def __post_init__(self) -> None:
        if not (self.regions and self.fillings):
            raise InputError("a local change needs at least one name in regions and one in fillings")
        if not 0 <= self.opacity[0] <= self.opacity[1] <= 1:
            raise InputError(f"opacity={self.opacity} is no range within [0, 1], smallest first")
        if not 0 <= self.soft_edges <= 1:
            raise InputError(f"soft_edges={self.soft_edges} is no share; give a number from 0 to 1")
        for name in self.regions:
            check_choice(name="regions", value=name, choices=REGIONS)
        for name in self.fillings:
            check_choice(name="fillings", value=name, choices=FILLINGS)

    def __call__(
        self, image: Float32[np.ndarray, "h w 3"], *, rng: np.random.Generator
    ) -> Float32[np.ndarray, "h w 3"]:
        """Return ``image`` (S, S, 3) changed inside of one region and equal to the bit outside of it.

        Raises:
            InputError: the image is not square.
        """
        if image.shape[0] != image.shape[1]:
            raise InputError(f"the image is {image.shape[1]} × {image.shape[0]}; crop a square of it to be changed")
        region = REGIONS[str(rng.choice(self.regions))](rng, image.shape[0])
        filling = self._filling(image, rng=rng)
        alpha = np.float32(rng.uniform(*self.opacity)) * region.astype(np.float32)
        if rng.random() < self.soft_edges:
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.2)), dtype=np.float32)
        changed = filling - image
        changed *= cv2.merge([alpha, alpha, alpha])  # broadcasting over three channels would be several times slower
        changed += image
        return np.asarray(cv2.copyTo(np.clip(changed, 0, 1, out=changed), region.view(np.uint8), image.copy()))

    def _filling(self, image: np.ndarray, *, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        kind = str(rng.choice(self.fillings))
        if kind in OWN_FILLINGS:
            return OWN_FILLINGS[kind](rng, image)
        texture = self.textures.draw(rng, size=image.shape[0]).image
        return augment_texture(texture, rng=rng) if self.augment else texture

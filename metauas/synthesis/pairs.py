"""Pairs with a known change: the training data of MetaUAS (paper, section 3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32
from torch import Tensor, from_numpy

from metauas.errors import InputError, did_you_mean
from metauas.images import to_tensor
from metauas.synthesis.inpainting import Inpainter, OpenCVInpainter
from metauas.synthesis.local import LocalChange
from metauas.synthesis.objects import exchange_object, remove_objects
from metauas.synthesis.pictures import Picture, PictureSource
from metauas.synthesis.scenes import DrawnTextures
from metauas.synthesis.variation import Variation, cut_view, relight, view_matrix

#: Kinds of change. `unchanged` pairs show what is not an anomaly: pose, light and noise alone.
KINDS = ("appearance", "disappearance", "exchange", "local", "unchanged")
OBJECT_KINDS = KINDS[:3]

_VISIBLE = 0.06  # largest channel difference, of 1, that a person still overlooks on a varied surface
_CANVAS = 1.25  # side of the canvas over side of the view: room for pose


@dataclass(frozen=True)
class ChangePair:
    """One training example.

    Attributes:
        query: (3, H, W) float32 in [0, 1], the image under test.
        prompt: (3, H, W) float32 in [0, 1], the one normal image it is compared with.
        mask: (1, H, W) float32 of {0, 1}, in the query's frame, 1 where the query visibly differs.
        kind: one of ``KINDS``.
        source: name of the picture it was made from.
    """

    query: Float[Tensor, "3 h w"]
    prompt: Float[Tensor, "3 h w"]
    mask: Float[Tensor, "1 h w"]
    kind: str
    source: str


#: Half object-level, half local (paper, section 4.1), with some unchanged pairs taken from both.
DEFAULT_MIXTURE = {
    "appearance": 0.15,
    "disappearance": 0.15,
    "exchange": 0.15,
    "local": 0.45,
    "unchanged": 0.1,
}


@dataclass(frozen=True)
class PairSynthesizer:
    """Makes change pairs from pictures; a pair is a function of the generator alone.

    Attributes:
        pictures: where pictures and their objects come from.
        textures: where foreign textures come from.
        size: side of query, prompt and mask, in pixels.
        mixture: share of each kind of change; need not sum to 1.
        variation: what may differ between query and prompt without being a change.
        inpainter: what takes objects away.
        local: the local-region change; by default all regions and fillings over ``textures``.
        decoys: share of pairs in which a change is made to BOTH sides before the real one. It is part of the normal
            appearance then, so that artefacts of synthesis alone give nothing away: only comparing does.
    """

    pictures: PictureSource
    textures: PictureSource = field(default_factory=DrawnTextures)
    size: int = 256
    mixture: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIXTURE))
    variation: Variation = field(default_factory=Variation)
    inpainter: Inpainter = field(default_factory=OpenCVInpainter)
    local: LocalChange | None = None
    decoys: float = 0.3

    def __post_init__(self) -> None:
        check_mixture(self.mixture)

    def __call__(self, rng: np.random.Generator) -> ChangePair:
        """Draw one pair; a change that turns out to be invisible is drawn anew, up to ten times."""
        kind = self._draw_kind(rng)
        canvas = int(np.ceil(self.size * _CANVAS))
        for _ in range(10):
            picture = self.pictures.draw(rng, size=canvas)
            image = self._with_decoy(picture.image, rng=rng)
            changed = self._change(Picture(image, picture.objects, picture.name), kind=kind, rng=rng)
            pair = self._views(picture, image, changed, kind=kind, rng=rng)
            if kind == "unchanged" or bool(pair.mask.any()):
                return pair
        return self._views(picture, image, image, kind="unchanged", rng=rng)

    def _draw_kind(self, rng: np.random.Generator) -> str:
        shares = np.array([self.mixture.get(kind, 0.0) for kind in KINDS])
        return KINDS[int(rng.choice(len(KINDS), p=shares / shares.sum()))]

    def _with_decoy(self, image: np.ndarray, *, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        return self._local(image, rng=rng) if rng.random() < self.decoys else image

    def _local(self, image: np.ndarray, *, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        return (self.local or LocalChange(textures=self.textures))(image, rng=rng)

    def _change(self, picture: Picture, *, kind: str, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        """Return the other side of the pair, still pixel on pixel."""
        if kind == "local":
            return self._local(picture.image, rng=rng)
        if kind == "exchange":
            donor = self.pictures.draw(rng, size=picture.image.shape[0])
            return exchange_object(picture, donor, rng=rng, inpainter=self.inpainter)
        if kind in OBJECT_KINDS:
            return remove_objects(picture, rng=rng, inpainter=self.inpainter)
        return picture.image

    def _views(
        self, picture: Picture, image: np.ndarray, changed: np.ndarray, *, kind: str, rng: np.random.Generator
    ) -> ChangePair:
        """Give either side its own pose and light, and the mask the query's pose."""
        # another place of a stationary texture is as good a prompt, but then nothing in it points at what is gone:
        # only what is foreign in the query can be marked
        free = picture.stationary and kind in ("exchange", "local", "unchanged")
        swap = kind == "appearance" or (kind in ("exchange", "local") and not free and rng.random() < 0.5)
        query, prompt = (image, changed) if swap else (changed, image)
        canvas = picture.image.shape[0]
        pose = view_matrix(rng, self.variation, canvas=canvas, size=self.size, free=free)
        other = view_matrix(rng, self.variation, canvas=canvas, size=self.size, free=free)
        mask = cut_view(visible_change(query, prompt).astype(np.float32), pose, size=self.size) > 0.5
        views = [
            relight(cut_view(side, matrix, size=self.size), rng, self.variation)
            for side, matrix in ((query, pose), (prompt, other))
        ]
        return ChangePair(
            query=to_tensor(views[0]),
            prompt=to_tensor(views[1]),
            mask=from_numpy(mask[None].astype(np.float32)),
            kind=kind,
            source=picture.name,
        )


def visible_change(
    first: Float32[np.ndarray, "h w 3"], second: Float32[np.ndarray, "h w 3"]
) -> Bool[np.ndarray, "h w"]:
    """Mask (H, W) of what a person would see: differing pixels, closed over gaps of a pixel or two, specks dropped.

    Pixels that are equal to the bit are never marked.
    """
    difference = np.abs(first - second).max(axis=2)
    seen = (difference > _VISIBLE).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    solid = cv2.morphologyEx(seen, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    near_solid = cv2.dilate(solid, kernel, iterations=2)
    return (closed & near_solid & (difference > 0)).astype(bool)


def select_kinds(kinds: Sequence[str] | None) -> dict[str, float]:
    """Return the default shares of some kinds of change; None takes all.

    Raises:
        InputError: naming an unknown kind.
    """
    if kinds is None:
        return dict(DEFAULT_MIXTURE)
    check_mixture(dict.fromkeys(kinds, 1.0))
    return {kind: DEFAULT_MIXTURE[kind] for kind in kinds}


def check_mixture(mixture: Mapping[str, float]) -> None:
    """Check the shares of the kinds of change.

    Raises:
        InputError: naming an unknown kind, a negative share, or shares that are all zero.
    """
    for kind, share in mixture.items():
        if kind not in KINDS:
            raise InputError(
                f"unknown kind of change {kind!r}{did_you_mean(kind, KINDS)}; kinds are {', '.join(KINDS)}"
            )
        if not share >= 0:
            raise InputError(f"share of {kind!r} is {share}; shares are numbers from 0 up")
    if not sum(mixture.values()) > 0:
        raise InputError("all shares of the mixture are 0; give at least one kind a share above 0")

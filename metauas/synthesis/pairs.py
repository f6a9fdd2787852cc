"""Pairs with a known change: the training data of MetaUAS (paper, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32
from torch import Tensor, from_numpy

from metauas.errors import InputError, check_choice, did_you_mean
from metauas.files.images import to_tensor
from metauas.synthesis.changes.inpainting import Inpainter, OpenCVInpainter
from metauas.synthesis.changes.local_region import LocalChange
from metauas.synthesis.changes.objects import exchange_object, remove_objects
from metauas.synthesis.drawn.scenes import DrawnTextures
from metauas.synthesis.pictures.picture import Picture, PictureSource
from metauas.synthesis.variation import Variation, cut_view, relight, view_matrix

#: Kinds of change. In `unchanged` pairs, only pose, light and noise differ.
KINDS = ("appearance", "disappearance", "exchange", "local", "unchanged")
OBJECT_KINDS = KINDS[:3]

_NOTICED = 0.035  # difference, of 1, that is visible on a plain surface when it holds over a few pixels
_MASKING = 0.6  # additional difference on a patterned surface, in standard deviations of the pattern
_FAINT = 0.025  # difference that still belongs to the change around a visible spot
_COVERED = 0.4  # share of a pixel that a change must cover; half would break lines one pixel wide
_SMALLEST = 0.0005  # share of the view that must be changed: 5 pixels of 96², 33 of 256²
_SMALLEST_SIDE = 16  # pixels; shapes and textures are not recognisable below
_MARGIN = 0.125  # room for pose on each side of the view, as a share of its side


@dataclass(frozen=True)
class ChangePair:
    """One training example.

    Attributes:
        query: (3, H, W) float32 in [0, 1], the image under test.
        prompt: (3, H, W) float32 in [0, 1], the normal image.
        mask: (1, H, W) float32 of {0, 1}, in the query's frame, 1 where the query visibly differs.
        kind: one of ``KINDS``.
        source: name of its picture.
    """

    query: Float[Tensor, "3 h w"]
    prompt: Float[Tensor, "3 h w"]
    mask: Float[Tensor, "1 h w"]
    kind: str
    source: str


#: Half object-level, half local (paper, section 4.1), with some unchanged pairs taken from both.
DEFAULT_MIXTURE = {"appearance": 0.15, "disappearance": 0.15, "exchange": 0.15, "local": 0.45, "unchanged": 0.1}


@dataclass(frozen=True)
class PairSynthesizer:
    """Makes change pairs from pictures; a pair is a function of the generator alone.

    Attributes:
        pictures: source of pictures with objects.
        textures: source of foreign textures.
        size: side of query, prompt and mask, in pixels.
        mixture: share of each kind of change; need not sum to 1.
        variation: differences of pose and light between query and prompt.
        inpainter: removes objects.
        local: the local-region change; by default ``LocalChange(textures)``.
        decoys: share of pairs with a change on both sides before the real one, so that artefacts of the synthesis
            do not reveal a change.
        zoomed: share of pairs drawn at twice the side, of which a window of ``size`` pixels is shown, as in large
            images. These pairs have no ``spun`` views.
    """

    pictures: PictureSource
    textures: PictureSource = field(default_factory=DrawnTextures)
    size: int = 256
    mixture: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIXTURE))
    variation: Variation = field(default_factory=Variation)
    inpainter: Inpainter = field(default_factory=OpenCVInpainter)
    local: LocalChange | None = None
    decoys: float = 0.3
    zoomed: float = 0.0

    def __post_init__(self) -> None:
        check_mixture(self.mixture)
        if self.size < _SMALLEST_SIDE:
            raise InputError(f"size={self.size} is too small; give {_SMALLEST_SIDE} pixels or more")

    def __call__(self, rng: np.random.Generator) -> ChangePair:
        """Draw one pair. An invisible change is drawn again up to ten times; then the pair is unchanged."""
        if self.zoomed and rng.random() < self.zoomed:
            return _window(self._at_twice_the_side()(rng), rng=rng, size=self.size)
        kind = self._draw_kind(rng)
        canvas = self.size + 2 * int(np.ceil(self.size * _MARGIN))  # even, so that a view without pose is not resampled
        for _ in range(10):
            picture = self._with_decoy(self.pictures.draw(rng, size=canvas), kind=kind, rng=rng)
            changed = self._change(picture, kind=kind, rng=rng)
            pair, is_shown = self._views(picture, changed, kind=kind, rng=rng)
            if is_shown or kind == "unchanged":
                return pair
        return self._views(picture, picture.image, kind="unchanged", rng=rng)[0]

    def _at_twice_the_side(self) -> "PairSynthesizer":
        now = self.variation
        upright = replace(now, rotation=now.rotation / 2, shift=now.shift / 2, spun=0.0)
        return replace(self, size=2 * self.size, variation=upright, zoomed=0.0)

    def _draw_kind(self, rng: np.random.Generator) -> str:
        shares = np.array([self.mixture.get(kind, 0.0) for kind in KINDS])
        return KINDS[int(rng.choice(len(KINDS), p=shares / shares.sum()))]

    def _with_decoy(self, picture: Picture, *, kind: str, rng: np.random.Generator) -> Picture:
        # a sibling, another place of a texture, or a faulty picture would not show the decoy
        if rng.random() >= self.decoys or _is_free(picture, kind) or _shown_sibling(picture, kind) is not None:
            return picture
        if picture.faulty is not None and kind in OBJECT_KINDS:
            return picture
        return replace(picture, image=self._local(picture, rng=rng))

    def _local(self, picture: Picture, *, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        local = self.local or LocalChange(textures=self.textures)
        if picture.stationary:  # another place of it is not foreign
            own = ("elsewhere", "shift")
            local = replace(local, fillings=tuple(f for f in local.fillings if f not in own) or ("texture",))
        return local(picture.image, rng=rng)

    def _change(self, picture: Picture, *, kind: str, rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
        """Return the other side of the pair, aligned to the pixel."""
        if kind == "local":
            return self._local(picture, rng=rng)
        if picture.faulty is not None and kind in OBJECT_KINDS:
            return picture.faulty(rng, kind)
        if kind == "exchange":
            donor = self.pictures.draw(rng, size=picture.image.shape[0])
            return exchange_object(picture, donor, rng=rng, inpainter=self.inpainter)
        if kind in OBJECT_KINDS:
            return remove_objects(picture, rng=rng, inpainter=self.inpainter)
        return picture.image

    def _views(
        self, picture: Picture, changed: np.ndarray, *, kind: str, rng: np.random.Generator
    ) -> tuple[ChangePair, bool]:
        """Give each side its own pose and light, and the mask the query's pose; return if the views show the change."""
        free, image = _is_free(picture, kind), picture.image
        sibling = _shown_sibling(picture, kind)
        # if the prompt shows another place or item, the change must be in the query
        one_way = free or sibling is not None
        swap = kind == "appearance" or (kind in ("exchange", "local") and not one_way and rng.random() < 0.5)
        query, prompt = (image, changed) if swap else (changed, image)
        canvas = image.shape[0]
        pose = view_matrix(rng, self.variation, canvas=canvas, size=self.size, free=free)
        other = view_matrix(rng, self.variation, canvas=canvas, size=self.size, free=free)
        change = visible_change(query, prompt).astype(np.float32)
        mask, in_prompt = (cut_view(change, matrix, size=self.size) > _COVERED for matrix in (pose, other))
        # a change outside of the prompt's view cannot be found by comparison
        is_shown = mask.mean() >= _SMALLEST and (one_way or in_prompt.sum() >= mask.sum() / 2)
        if sibling is not None:
            prompt = sibling
        views = [
            relight(cut_view(side, matrix, size=self.size), rng, self.variation)
            for side, matrix in ((query, pose), (prompt, other))
        ]
        pair = ChangePair(
            query=to_tensor(views[0]),
            prompt=to_tensor(views[1]),
            mask=from_numpy(mask[None].astype(np.float32)),
            kind=kind,
            source=picture.name,
        )
        return pair, bool(is_shown)


def _window(pair: ChangePair, *, rng: np.random.Generator, size: int) -> ChangePair:
    """Cut a window of ``size`` pixels out of a pair; it shows a part of the change, if there is one."""
    places = pair.mask[0].nonzero().numpy()
    reach = pair.mask.shape[-1] - size
    top, left = rng.integers(0, reach + 1, 2)
    if len(places):  # a window that shows one changed pixel
        seen = places[int(rng.integers(len(places)))]
        top, left = (int(rng.integers(max(0, at - size + 1), min(at, reach) + 1)) for at in seen)
    query, prompt, mask = (
        side[:, top : top + size, left : left + size].contiguous() for side in (pair.query, pair.prompt, pair.mask)
    )
    return replace(pair, query=query, prompt=prompt, mask=mask)


def _is_free(picture: Picture, kind: str) -> bool:
    """Return whether query and prompt may show different places: of a texture, if the query's change is foreign."""
    return picture.stationary and kind in ("exchange", "local", "unchanged")


def _shown_sibling(picture: Picture, kind: str) -> Float32[np.ndarray, "h w 3"] | None:
    """Return the sibling if the prompt shows it; in an ``appearance``, both sides show the same item."""
    is_shown = _is_free(picture, kind) if picture.stationary else kind != "appearance"
    return picture.sibling if is_shown else None


def visible_change(
    first: Float32[np.ndarray, "h w 3"], second: Float32[np.ndarray, "h w 3"]
) -> Bool[np.ndarray, "h w"]:
    """Return the mask (H, W) of the visible change.

    A change is visible where its mean over a small spot (Gaussian, sigma 1 pixel) stands out from the pattern around
    it. Around such a place, the whole change down to faint differences is marked, and gaps of a pixel or two are
    closed. Pixels that are equal to the bit are never marked.
    """
    difference = first - second
    size = _largest_channel(difference)
    needed = _NOTICED + _MASKING * _local_contrast((first + second) / 2)
    noticed = _largest_channel(cv2.GaussianBlur(difference, (0, 0), 1.0)) > needed
    closed = cv2.morphologyEx((size > _FAINT).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, part = cv2.connectedComponents(closed * (size > 0), connectivity=8)
    is_seen = np.zeros(count, bool)
    is_seen[part[noticed]] = True
    is_seen[0] = False  # the background
    return is_seen[part]


def _largest_channel(difference: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Return the largest absolute value of the three channels, ten times faster than ``max(axis=2)``."""
    red, green, blue = cv2.split(np.abs(difference))
    return np.maximum(np.maximum(red, green), blue)


def _local_contrast(image: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Return the standard deviation of the grey values around each pixel (Gaussian window, sigma 3 pixels)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean, mean_of_squares = (cv2.GaussianBlur(field, (0, 0), 3.0) for field in (grey, grey * grey))
    return np.sqrt(np.maximum(mean_of_squares - mean * mean, 0))


def select_kinds(kinds: object, *, mixture: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of some of the kinds in ``mixture``.

    Raises:
        InputError: ``kinds`` is no list, is empty, or names a kind without a share.
    """
    if not isinstance(kinds, list | tuple) or not kinds:
        raise InputError(f"kinds={kinds!r} is no list of kinds; give one or more of {', '.join(mixture)}")
    shown = [kind for kind, share in mixture.items() if share > 0]
    for kind in kinds:
        if kind not in shown:
            near = did_you_mean(kind, shown)
            raise InputError(f"kinds: {kind!r} has no share in the recipe{near}; it makes {', '.join(shown)}")
    return {kind: mixture[kind] for kind in kinds}


def check_mixture(mixture: Mapping[str, float]) -> Mapping[str, float]:
    """Return the shares of the kinds of change, checked.

    Raises:
        InputError: naming an unknown kind, a negative share, or shares that are all zero.
    """
    for kind, share in mixture.items():
        check_choice(name="kind of change", value=kind, choices=KINDS)
        if not 0 <= share < np.inf:
            raise InputError(f"share of {kind!r} is {share}; shares are numbers from 0 up")
    if not sum(mixture.values()) > 0:
        raise InputError("all shares of the mixture are 0; give at least one kind a share above 0")
    return mixture

"""Differences of query and prompt inside and outside of the mask, after correction of pose and light.

On small copies, the prompt is aligned to the query by an affine warp (enhanced correlation coefficient, Evangelidis and
Psarakis, PAMI 2008), and each channel gets the query's mean and deviation, all outside of the mask. Two places of a
texture cannot be aligned; then only light is corrected.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from metauas.files.images import resize_mask
from metauas.synthesis.changes.objects import dilate
from metauas.synthesis.pairs import ChangePair

_SIDE = 96  # pixels of the copies
_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-3)
_STAGES = ((cv2.MOTION_EUCLIDEAN, 15), (cv2.MOTION_AFFINE, 5))  # motion, and pixels of the registration's own blur
_CORRELATION = 0.6  # smallest correlation of aligned images
_OVERLAP = 0.3  # share of the query that must be left to compare
_REACH = {True: 2, False: 10}  # largest distance of a change from its mask, pixels, aligned or not


@dataclass(frozen=True)
class Comparison:
    """The remaining difference between query and prompt, in [0, 1] units of brightness.

    Attributes:
        is_aligned: whether the prompt could be aligned to the query.
        light: difference of the means of a channel outside of the mask, the largest of three.
        outside: mean difference outside of the mask.
        peak: the 99th percentile of the difference outside of the mask, after a slight blur.
        inside: mean difference inside of the mask; NaN without one.
        visibility: ratio of the difference around the mask to that elsewhere. Both are means of the largest values,
            in the share that the mask has of its surroundings. 1 is no visible change; NaN without a mask.
    """

    is_aligned: bool
    light: float
    outside: float
    peak: float
    inside: float
    visibility: float


def compare(pair: ChangePair) -> Comparison:
    """Compare query and prompt of a pair."""
    query, prompt = _small(pair.query.numpy()), _small(pair.prompt.numpy())
    mask = resize_mask(pair.mask[0].numpy() > 0, (_SIDE, _SIDE))
    outside = cv2.erode((~mask).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not outside.any():  # all is marked
        outside = np.ones_like(mask)
    light = float(np.abs(cv2.absdiff(_mean(query, outside), _mean(prompt, outside))).max())
    lit = _relit(prompt, query, where=outside)
    over, outside = _aligned(lit, query, where=outside)
    difference = query - (lit if over is None else over)
    field, around = _size(difference), dilate(mask, pixels=_REACH[over is not None])
    return Comparison(
        is_aligned=over is not None,
        light=light,
        outside=float(field[outside].mean()),
        peak=float(np.percentile(_size(difference, sigma=1.0)[outside], 99)),
        inside=float(field[mask].mean()) if mask.any() else float("nan"),
        visibility=_visibility(field, mask=mask, around=around, elsewhere=outside & ~around),
    )


def _visibility(field: np.ndarray, *, mask: np.ndarray, around: np.ndarray, elsewhere: np.ndarray) -> float:
    if not (mask.any() and elsewhere.any()):
        return float("nan")
    share = mask.sum() / around.sum()
    marked, usual = (_mean_of_largest(field[where], share) for where in (around, elsewhere))
    return marked / max(usual, 1e-6)


def _mean_of_largest(values: np.ndarray, share: float) -> float:
    count = max(1, round(share * values.size))
    return float(np.partition(values, -count)[-count:].mean())


def _aligned(
    prompt: Float32[np.ndarray, "s s 3"], query: Float32[np.ndarray, "s s 3"], *, where: Bool[np.ndarray, "s s"]
) -> tuple[Float32[np.ndarray, "s s 3"] | None, Bool[np.ndarray, "s s"]]:
    """Return the aligned prompt, or None if nothing fits, and the mask of the pixels that are in view of both."""
    warp = _registered(prompt, query, where=where)
    if warp is None:
        return None, where
    how, side = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, where.shape[::-1]
    in_view = where & (cv2.warpAffine(np.ones(where.shape, np.float32), warp, side, flags=how) > 0.99)
    if in_view.sum() < _OVERLAP * where.sum():
        return None, where
    over = cv2.warpAffine(prompt, warp, side, flags=how, borderMode=cv2.BORDER_REFLECT_101)
    over = _relit(np.asarray(over, dtype=np.float32), query, where=in_view)
    # a warp only blurs images that were aligned before
    return min((prompt, over), key=lambda image: float(_size(query - image)[in_view].mean())), in_view


def _registered(prompt: np.ndarray, query: np.ndarray, *, where: np.ndarray) -> np.ndarray | None:
    """Return the affine matrix (2, 3) from the query's pixels to the prompt's; None if the images do not fit."""
    template, image = (cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in (query, prompt))
    fit, warp, seen = 0.0, np.eye(2, 3, dtype=np.float32), where.astype(np.uint8)
    for motion, blur in _STAGES:
        try:
            fit, found = cv2.findTransformECC(template, image, warp.copy(), motion, _STEPS, seen, blur)
        except cv2.error:  # it does not converge, or one of the images is of one colour
            continue
        warp = np.asarray(found, dtype=np.float32)
    return warp if fit >= _CORRELATION else None


def _relit(
    image: Float32[np.ndarray, "s s 3"], like: Float32[np.ndarray, "s s 3"], *, where: Bool[np.ndarray, "s s"]
) -> Float32[np.ndarray, "s s 3"]:
    """Return ``image`` with each channel's mean and deviation as in ``like``, by a gain of 0.5 to 2."""
    inside = where.astype(np.uint8)
    (mean, deviation), (wanted, spread) = (cv2.meanStdDev(picture, mask=inside) for picture in (image, like))
    gain = np.clip(spread / np.maximum(deviation, 1e-3), 0.5, 2)
    return np.asarray(image * gain.ravel() + (wanted - gain * mean).ravel(), dtype=np.float32)


def _size(difference: Float32[np.ndarray, "s s 3"], *, sigma: float = 0.0) -> Float32[np.ndarray, "s s"]:
    """Mean over the channels of the absolute difference, blurred first."""
    blurred = cv2.GaussianBlur(difference, (0, 0), sigma) if sigma else difference
    return np.abs(blurred).mean(axis=2, dtype=np.float32)


def _mean(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.array(cv2.mean(image, mask=where.astype(np.uint8))[:3])


def _small(image: Float32[np.ndarray, "3 h w"]) -> Float32[np.ndarray, "s s 3"]:
    whole = np.ascontiguousarray(image.transpose(1, 2, 0))
    return np.asarray(cv2.resize(whole, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))

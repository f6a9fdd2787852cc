"""Areas under overlap curves, exact: AUPRO over regions and AUPIMO over images.

AUPRO: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021. AUPIMO: Bertoldo et al., AUPIMO: Redefining
Visual Anomaly Detection Benchmarks with High Speed and Low Tolerance, BMVC 2024.

Both curves join (0, 0) and one point per distinct score by straight lines: x is the false-positive rate at that
threshold, y the mean over the regions (or images) of the share of their masked pixels at or above the threshold. Each
curve is a weighted sum of lines that rise from 0 to 1, one for each score of a masked pixel.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool, Float

from metauas.metrics.checks import MapList, MaskList
from metauas.metrics.ranking import Ranking

PRO_LIMIT = 0.3  # the usual upper false-positive rate of AUPRO
AUPIMO_RATES = (1e-5, 1e-4)
BLOCK = 2**16

Rates: TypeAlias = Float[np.ndarray, " block"]


def region_shares(mask: Bool[np.ndarray, "h w"]) -> tuple[Float[np.ndarray, " n"], int]:
    """Return each masked pixel's share of its 8-connected region, in the order of ``mask``, and their number."""
    n_labels, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    region_of_pixel = regions[mask]
    return 1 / np.bincount(region_of_pixel)[region_of_pixel], n_labels - 1  # label 0 is the background


def image_shares(mask: Bool[np.ndarray, "h w"]) -> tuple[Float[np.ndarray, " n"], int]:
    """Return each masked pixel's share of all masked pixels of its image, and 1, the number of images."""
    n_pixels = np.count_nonzero(mask)
    return np.full(n_pixels, 1 / n_pixels), 1


def overlap_at_levels(
    levels: Float[np.ndarray, " k"],
    maps: MapList,
    masks: MaskList,
    *,
    shares: Callable[[Bool[np.ndarray, "_ _"]], tuple[Float[np.ndarray, " _"], int]] = region_shares,
) -> Float[np.ndarray, " k"]:
    """Return the increase of the mean overlap at each distinct score of a masked pixel; the sum is 1."""
    overlap = np.zeros(len(levels))
    total = 0
    for values, mask in zip(maps, masks, strict=True):
        if mask.any():
            share, number = shares(mask)
            np.add.at(overlap, np.searchsorted(levels, values[mask]), share)
            total += number
    return overlap / max(total, 1)


def aupro(ranking: Ranking, overlap: Float[np.ndarray, " k"], *, limit: float) -> float:
    """Return the area under the per-region overlap curve up to false-positive rate ``limit``, over ``limit``.

    Args:
        ranking: the pixels of all images, masked ones as positives; the rate is over all unmasked pixels.
        overlap: ``overlap_at_levels`` of the ranking's levels, over regions.
        limit: false-positive rate in (0, 1].

    Returns:
        A value in [0, 1]; NaN without masked or without unmasked pixels.
    """
    if not ranking.has_both:
        return float("nan")

    def area(start: Rates, stop: Rates) -> Rates:
        begin, end = np.minimum(start, limit), np.minimum(stop, limit)
        width, rise = stop - start, end - begin
        height = np.divide(rise, width, out=np.ones_like(rise), where=width > 0)
        return rise * height / 2 + (limit - end)

    return min(_sum_over_levels(ranking, overlap, area) / limit, 1.0)  # rounded shares can add up to more than 1


def aupimo(ranking: Ranking, overlap: Float[np.ndarray, " k"], *, rates: tuple[float, float] = AUPIMO_RATES) -> float:
    """Return the mean height of the per-image overlap curve between two false-positive rates on a log axis.

    The lines of the curve are straight over the rate, not over its logarithm, so that it is defined down to rate 0 for
    every number of pixels.

    Args:
        ranking: masked pixels as positives and all pixels of the normal images as negatives.
        overlap: ``overlap_at_levels`` of the ranking's levels, over images.
        rates: lower and upper false-positive rate, 0 < lower < upper <= 1.

    Returns:
        A value in [0, 1]; NaN without masked pixels or without normal images.
    """
    if not ranking.has_both:
        return float("nan")
    low, high = rates

    def area(start: Rates, stop: Rates) -> Rates:
        begin, end = np.clip(start, low, high), np.clip(stop, low, high)
        width = stop - start
        risen = end - begin - start * np.log1p((end - begin) / begin)  # (x - start) integrated over d log x
        return np.divide(risen, width, out=np.zeros_like(risen), where=width > 0) + np.log(high / end)

    return min(_sum_over_levels(ranking, overlap, area) / math.log(high / low), 1.0)


def _sum_over_levels(
    ranking: Ranking, overlap: Float[np.ndarray, " k"], area: Callable[[Rates, Rates], Rates]
) -> float:
    """Sum ``overlap`` times the area under the line of each level, in blocks to save memory.

    The line rises from 0 at the rate of negatives above the level to 1 at the rate of negatives at or above it: a step
    without ties, else a slope over the tie.
    """
    total = 0.0
    for first in range(0, len(overlap), BLOCK):
        part = slice(first, first + BLOCK)
        start = ranking.negatives_above[part] / ranking.n_negatives
        stop = ranking.negatives_from[part] / ranking.n_negatives
        total += float(overlap[part] @ area(start, stop))
    return total

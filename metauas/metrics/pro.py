"""AUPRO: area under the per-region overlap curve (Bergmann et al., MVTec AD, IJCV 2021), exact."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from metauas.metrics.ranking import Ranking


def aupro(ranking: Ranking, masks: Bool[np.ndarray, "n h w"], *, limit: float) -> float:
    """Return the area under the per-region overlap curve up to false-positive rate ``limit``, over ``limit``.

    The curve runs from (0, 0) through one point per distinct score, joined by straight lines: x is the share
    of unmasked pixels, of normal and anomalous images alike, that score at least so high; y the mean over all
    regions of the share of their pixels that do. Regions are 8-connected within one image.

    Args:
        ranking: the pixels of all maps, ranked with ``masks`` as positives.
        masks: (N, H, W), True where defective.
        limit: false-positive rate in (0, 1].

    Returns:
        A value in [0, 1]; NaN without any masked or without any unmasked pixel.
    """
    if ranking.n_positives == 0 or ranking.n_negatives == 0:
        return float("nan")
    mass = np.bincount(ranking.group, weights=_overlap_per_pixel(masks))
    start = ranking.negatives_above / ranking.n_negatives
    stop = ranking.negatives_from / ranking.n_negatives
    area = float(mass @ _area_of_ramps(start, stop, limit)) / limit
    return min(area, 1.0)  # the sum of many rounded weights can pass 1 by the last digit


def _overlap_per_pixel(masks: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " positives"]:
    """Return what each masked pixel, in the order of ``masks``, adds to the mean overlap; the sum is 1."""
    weights = []
    n_regions = 0
    for mask in masks[masks.any(axis=(1, 2))]:
        n_labels, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        region_of_pixel = regions[mask]
        weights.append(1 / np.bincount(region_of_pixel)[region_of_pixel])
        n_regions += n_labels - 1  # label 0 is the background
    return np.concatenate(weights) / n_regions


def _area_of_ramps(
    start: Float[np.ndarray, " k"], stop: Float[np.ndarray, " k"], limit: float
) -> Float[np.ndarray, " k"]:
    """Return the areas in [0, limit] under lines that rise from 0 at ``start`` to 1 at ``stop`` and stay.

    The overlap curve is a weighted sum of such lines, one per distinct score of a masked pixel: a step where
    no unmasked pixel has that score, else a slope as wide as the tie.
    """
    begin, end = np.minimum(start, limit), np.minimum(stop, limit)
    width, rise = stop - start, end - begin
    height = np.divide(rise, width, out=np.ones_like(rise), where=width > 0)
    return np.asarray(rise * height / 2 + (limit - end))

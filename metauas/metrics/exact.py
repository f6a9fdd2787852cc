"""The seven metrics and the two optional ones, of checked arrays."""

import math

import numpy as np
from jaxtyping import Bool, Float

from metauas.metrics.pro import aupimo, aupro, image_shares, overlap_at_levels
from metauas.metrics.ranking import Ranking, auroc, average_precision, f1_max, rank, rank_images, rank_pixels

METRICS = ("I-AUROC", "I-AP", "I-F1max", "P-AUROC", "P-AP", "P-F1max", "AUPRO")
EXTRAS = ("AUPRO@0.05", "AUPIMO")


def exact_metrics(
    maps: list[Float[np.ndarray, "_ _"]],
    masks: list[Bool[np.ndarray, "_ _"]],
    labels: Bool[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    *,
    pro_limit: float,
    extras: bool,
) -> dict[str, float]:
    """Return ``METRICS`` and, with ``extras``, ``EXTRAS`` of checked arrays; see ``compute_metrics``."""
    aupimo_value = _aupimo_of(maps, masks, labels) if extras else math.nan  # first, so that its ranking is freed
    pixels = rank_pixels(maps, masks)
    overlap = overlap_at_levels(pixels.levels, maps, masks)
    values = seven(rank_images(scores, labels), pixels, overlap, pro_limit=pro_limit)
    if not extras:
        return values
    return values | dict(zip(EXTRAS, (aupro(pixels, overlap, limit=0.05), aupimo_value), strict=True))


def seven(images: Ranking, pixels: Ranking, overlap: Float[np.ndarray, " k"], *, pro_limit: float) -> dict[str, float]:
    """Return ``METRICS`` of ranked images and pixels; ``overlap`` is over regions at the levels of ``pixels``."""
    values = [metric(ranking) for ranking in (images, pixels) for metric in (auroc, average_precision, f1_max)]
    return dict(zip(METRICS, [*values, aupro(pixels, overlap, limit=pro_limit)], strict=True))


def _aupimo_of(
    maps: list[Float[np.ndarray, "_ _"]], masks: list[Bool[np.ndarray, "_ _"]], labels: Bool[np.ndarray, " n"]
) -> float:
    """Return AUPIMO; normal images are neither labelled anomalous nor masked, anomalous ones are masked."""
    masked = [index for index, mask in enumerate(masks) if mask.any()]
    normal = [maps[index].ravel() for index in np.flatnonzero(~labels) if not masks[index].any()]
    if not masked or not normal:
        return math.nan
    positives = np.concatenate([maps[index][masks[index]] for index in masked])
    ranking = rank(positives, normal, n_negatives=sum(map(len, normal)))
    return aupimo(ranking, overlap_at_levels(ranking.levels, maps, masks, shares=image_shares))

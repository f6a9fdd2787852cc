"""The metrics as the author's evaluation script defines them, for comparison with published numbers."""

import math

import numpy as np
from jaxtyping import Float

from metauas.metrics.checks import Labels, Maps, Masks, check_category
from metauas.metrics.compute import METRICS, seven
from metauas.metrics.counting import count_beyond
from metauas.metrics.pro import PRO_LIMIT, overlap_at_levels
from metauas.metrics.ranking import Ranking, rank_images, rank_pixels

N_THRESHOLDS = 200


def compute_metrics_official(maps: Maps, masks: Masks, labels: Labels) -> dict[str, float]:
    """Return ``METRICS`` of one category as the author's ``eval_metric`` computes them.

    Prefer ``compute_metrics`` for new results. The author's definitions differ from it:

    - maps are scaled to [0, 1] by their minimum and maximum over the category, in float32, which can cause ties;
    - an AUROC below 0.5 is reported as 1 - AUROC;
    - AUPRO takes 200 equally spaced thresholds, counts scores strictly above, keeps thresholds with a false-positive
      rate below 0.3 and stretches their rates to [0, 1], without a point at rate 0.

    If the script stops with an error, the value is NaN: all metrics if the maps are constant or contain an infinity,
    AUPRO if the kept thresholds have a single rate. Without positives, AP and F1max are NaN; the script returns 0.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous; image scores are their maxima.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images.

    Raises:
        InputError: there is no image, shapes do not fit, masks or labels are not boolean, or a map contains NaN.
    """
    check_category(maps, masks, labels)
    scaled = _scaled(maps)
    if scaled is None:
        return dict.fromkeys(METRICS, math.nan)
    images, pixels = list(scaled), rank_pixels(list(scaled), list(masks))
    overlap = overlap_at_levels(pixels.levels, images, list(masks))
    values = seven(rank_images(scaled.max(axis=(1, 2)), labels), pixels, overlap, pro_limit=PRO_LIMIT)
    for name in ("I-AUROC", "P-AUROC"):
        values[name] = 1 - values[name] if values[name] < 0.5 else values[name]
    return values | {"AUPRO": _aupro(pixels, overlap, scaled, masks)}


def _scaled(maps: Maps) -> Maps | None:
    """Return the maps scaled to [0, 1] in float32; None if they are constant or not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = maps.astype(np.float32)
        lowest = scaled.min()
        span = scaled.max() - lowest
    if not (np.isfinite(span) and span > 0):
        return None
    scaled -= lowest
    scaled /= span
    return scaled


def _aupro(pixels: Ranking, overlap: Float[np.ndarray, " k"], scaled: Maps, masks: Masks) -> float:
    if not pixels.has_both:
        return math.nan
    thresholds = np.arange(scaled.min(), scaled.max(), (scaled.max() - scaled.min()) / N_THRESHOLDS)
    negatives = (values[~mask] for values, mask in zip(scaled, masks, strict=True))
    rate = count_beyond(thresholds, negatives, n_scores=pixels.n_negatives)[1] / pixels.n_negatives
    overlap_from = np.append(np.cumsum(overlap[::-1])[::-1], 0.0)
    found = overlap_from[np.searchsorted(pixels.levels, thresholds, side="right")]
    kept = rate < PRO_LIMIT
    if len(np.unique(rate[kept])) < 2:
        return math.nan
    stretched = (rate[kept] - rate[kept].min()) / (rate[kept].max() - rate[kept].min())
    return float(np.trapezoid(found[kept][::-1], stretched[::-1]))

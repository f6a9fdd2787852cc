"""Metrics of maps at a fixed threshold."""

import math

import numpy as np
from jaxtyping import Bool, Float

from metauas.metrics.checks import check_category

SEG_F1 = "SegF1"


def segmentation_f1(
    maps: Float[np.ndarray, "n h w"],
    masks: Bool[np.ndarray, "n h w"],
    labels: Bool[np.ndarray, " n"],
    *,
    threshold: float,
) -> float:
    """Return SegF1 of one category: the F1 score of all its pixels at one threshold.

    The benchmark MVTec AD 2 (Heckler-Kram et al., arXiv:2503.21622) calls it so. The threshold must come from other
    images than these, for example ``conformal_threshold`` of normal images; ``P-F1max`` takes the best one instead.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images; only checked.
        threshold: pixels with a score above it are found.

    Returns:
        2 TP / (2 TP + FP + FN), in [0, 1]; NaN without masked pixels.

    Raises:
        InputError: there is no image, shapes do not fit, masks or labels are not boolean, or a map contains NaN.
    """
    check_category(maps, masks, labels)
    positives = int(np.count_nonzero(masks))
    if not positives:
        return math.nan
    found = maps > np.float64(threshold)  # a Python float would be rounded to the maps' float32
    return 2 * int(np.count_nonzero(found & masks)) / (int(np.count_nonzero(found)) + positives)

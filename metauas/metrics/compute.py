"""The metrics of one category, exact, and their mean over categories."""

import math
from collections.abc import Mapping
from statistics import fmean

import numpy as np
from jaxtyping import Float

from metauas.errors import InputError
from metauas.metrics.checks import (
    Labels,
    MapList,
    Maps,
    MaskList,
    Masks,
    check_category,
    check_not_nan,
    check_pro_limit,
)
from metauas.metrics.pro import PRO_LIMIT, aupimo, aupro, image_shares, overlap_at_levels
from metauas.metrics.ranking import Ranking, auroc, average_precision, f1_max, rank, rank_images, rank_pixels

METRICS = ("I-AUROC", "I-AP", "I-F1max", "P-AUROC", "P-AP", "P-F1max", "AUPRO")
EXTRAS = ("AUPRO@0.05", "AUPIMO")
SEG_F1 = "SegF1"


def compute_metrics(
    maps: Maps,
    masks: Masks,
    labels: Labels,
    *,
    scores: Float[np.ndarray, " n"] | None = None,
    pro_limit: float = PRO_LIMIT,
    extras: bool = False,
) -> dict[str, float]:
    """Return the seven metrics of one category, in the order of ``METRICS``, each in [0, 1].

    Scores at or above the threshold count as anomalous; ties are exact. Pixel metrics use ``masks`` only, image metrics
    ``labels`` only, so masks of images labelled normal count as defects. No AUROC is flipped.

    Undefined metrics are NaN:

    - AUROC needs both classes; AP and F1max need a positive, and are 1 with positives only;
    - without masked pixels the P- metrics and AUPRO are NaN; AUPRO also without unmasked pixels;
    - AUPIMO needs a masked pixel and a normal image.

    For constant maps AUROC is 0.5, AP the share of positives, AUPRO ``pro_limit / 2``.

    ``EXTRAS`` are AUPRO up to the rate 0.05 and AUPIMO (Bertoldo et al., arXiv:2401.01984): the share of masked pixels
    found, averaged over anomalous images and over false-positive rates from 1e-5 to 1e-4 on a log axis, with the rate
    on normal images (neither labelled nor masked).

    Additional memory is about half that of float32 ``maps`` if few pixels are masked, and up to 2.5 times that if a
    tenth is masked or maps have few distinct values.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous, of any range.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images.
        scores: image scores (N,), by default the maximum of each map.
        pro_limit: false-positive rate in (0, 1] up to which AUPRO is integrated.
        extras: also return ``EXTRAS``.

    Raises:
        InputError: there is no image, shapes do not fit, masks or labels are not boolean, a map or score is NaN (names
            the image), or ``pro_limit`` is outside (0, 1].
    """
    check_category(maps, masks, labels)
    if scores is None:
        scores = maps.max(axis=(1, 2))
    if scores.shape != labels.shape:
        raise InputError(f"scores have the shape {scores.shape}; give one for each of the {len(maps)} maps")
    check_not_nan("scores", scores)
    return exact_metrics(list(maps), list(masks), labels, scores, pro_limit=pro_limit, extras=extras)


def exact_metrics(
    maps: MapList, masks: MaskList, labels: Labels, scores: Float[np.ndarray, " n"], *, pro_limit: float, extras: bool
) -> dict[str, float]:
    """Return ``METRICS`` and, with ``extras``, ``EXTRAS`` of checked arrays, as ``compute_metrics`` does."""
    check_pro_limit(pro_limit)
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


def _aupimo_of(maps: MapList, masks: MaskList, labels: Labels) -> float:
    """Return AUPIMO; normal images are neither labelled anomalous nor masked, anomalous ones are masked."""
    positives = np.concatenate([values[mask] for values, mask in zip(maps, masks, strict=True)])
    normal = [maps[index].ravel() for index in np.flatnonzero(~labels) if not masks[index].any()]
    ranking = rank(positives, normal, n_negatives=sum(map(len, normal)))
    return aupimo(ranking, overlap_at_levels(ranking.levels, maps, masks, shares=image_shares))


def segmentation_f1(maps: Maps, masks: Masks, labels: Labels, *, threshold: float) -> float:
    """Return SegF1 of one category: the F1 score of all its pixels at one threshold.

    The benchmark MVTec AD 2 (Heckler-Kram et al., arXiv:2503.21622) calls it so. The threshold must come from other
    images than these, for example ``conformal_threshold`` of normal images; ``P-F1max`` takes the best one instead.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images; only checked.
        threshold: pixels with a score above it are found.

    Returns:
        2 TP / (2 TP + FP + FN), in [0, 1]; NaN without masked pixels, or if the threshold is NaN.

    Raises:
        InputError: there is no image, shapes do not fit, masks or labels are not boolean, or a map contains NaN.
    """
    check_category(maps, masks, labels)
    positives = int(np.count_nonzero(masks))
    if not positives or math.isnan(threshold):
        return math.nan
    found = maps > np.float64(threshold)  # a Python float would be rounded to the maps' float32
    return 2 * int(np.count_nonzero(found & masks)) / (int(np.count_nonzero(found)) + positives)


def average_metrics(categories: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over ``categories`` (name to metrics) without NaN; NaN if all are NaN.

    Raises:
        InputError: there is no category, or one lacks a metric of the first one.
    """
    if not categories:
        raise InputError("there is no category to average; give the metrics of at least one")
    names = list(next(iter(categories.values())))
    for category, metrics in categories.items():
        if missing := [name for name in names if name not in metrics]:
            raise InputError(f"category {category} lacks {', '.join(missing)}; compute the same metrics for all")
    defined = {name: [m[name] for m in categories.values() if not math.isnan(m[name])] for name in names}
    return {name: fmean(values) if values else math.nan for name, values in defined.items()}

"""The metrics of one category, exact, and their mean over categories."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from metauas.errors import InputError
from metauas.metrics.checks import check_category, check_pro_limit, check_scores
from metauas.metrics.exact import exact_metrics
from metauas.metrics.pro import PRO_LIMIT


def compute_metrics(
    maps: Float[np.ndarray, "n h w"],
    masks: Bool[np.ndarray, "n h w"],
    labels: Bool[np.ndarray, " n"],
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
    check_pro_limit(pro_limit)
    if scores is None:
        scores = maps.max(axis=(1, 2))
    else:
        check_scores(scores, n_images=len(maps))
    return exact_metrics(list(maps), list(masks), labels, scores, pro_limit=pro_limit, extras=extras)


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
    return {name: _mean_of_defined([metrics[name] for metrics in categories.values()]) for name in names}


def _mean_of_defined(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan

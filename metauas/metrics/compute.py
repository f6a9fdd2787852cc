"""The metrics of one category, exact, and their mean over categories."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from metauas.errors import InputError
from metauas.metrics.checks import check_category, check_pro_limit, check_scores
from metauas.metrics.exact import exact_metrics


def compute_metrics(
    maps: Float[np.ndarray, "n h w"],
    masks: Bool[np.ndarray, "n h w"],
    labels: Bool[np.ndarray, " n"],
    *,
    scores: Float[np.ndarray, " n"] | None = None,
    pro_limit: float = 0.3,
    extras: bool = False,
) -> dict[str, float]:
    """Return the seven metrics of one category, in the order of ``METRICS``, each in [0, 1].

    A score at or above the threshold counts as anomalous; ties are treated exactly. Pixel metrics look at
    ``masks`` only, image metrics at ``labels`` only, so masks on images labelled normal count as defects.
    No value is flipped, so an AUROC below 0.5 stays below.

    What cannot be defined is NaN, never 0:

    - AUROC needs both classes; AP and F1max need a positive, and are 1 with positives only;
    - without any masked pixel the P- metrics and AUPRO are NaN; AUPRO also without any unmasked pixel;
    - AUPIMO needs a masked pixel and a normal image.

    Constant maps are one big tie: AUROC is 0.5, AP the share of positives, AUPRO ``pro_limit / 2``.

    With ``extras`` the names in ``EXTRAS`` follow: AUPRO up to the rate 0.05, and AUPIMO (Bertoldo et al.,
    arXiv:2401.01984): the mean over the images with a masked pixel of the share of these that is found, at
    false-positive rates from 1e-5 to 1e-4 on a log axis, counted on normal images only (neither labelled nor masked).

    The memory needed beside what is given is about half that of float32 ``maps`` if few pixels are masked, and up to
    2.5 times that if a tenth is, or if maps of few distinct values make everything a tie.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous, of any range.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images.
        scores: image scores (N,), by default the maximum of each map.
        pro_limit: false-positive rate in (0, 1] up to which AUPRO is integrated.
        extras: also return ``EXTRAS``.

    Raises:
        InputError: for no image, shapes that do not fit, masks or labels that are not boolean, a NaN (naming
            the index of its image) and a ``pro_limit`` outside (0, 1].
    """
    check_category(maps, masks, labels)
    check_pro_limit(pro_limit)
    if scores is None:
        scores = maps.max(axis=(1, 2))
    else:
        check_scores(scores, n_images=len(maps))
    return exact_metrics(list(maps), list(masks), labels, scores, pro_limit=pro_limit, extras=extras)


def average_metrics(categories: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over ``categories`` (name to metrics), leaving NaN out; NaN if all are.

    Raises:
        InputError: if there is no category, or one lacks a metric that the first one has.
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

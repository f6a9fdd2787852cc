"""The seven metrics of the field, exact: image and pixel AUROC, average precision, maximal F1, and AUPRO."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from metauas.errors import InputError
from metauas.metrics.pro import aupro
from metauas.metrics.ranking import auroc, average_precision, f1_max, rank

METRICS = ("I-AUROC", "I-AP", "I-F1max", "P-AUROC", "P-AP", "P-F1max", "AUPRO")


def compute_metrics(
    maps: Float[np.ndarray, "n h w"],
    masks: Bool[np.ndarray, "n h w"],
    labels: Bool[np.ndarray, " n"],
    *,
    scores: Float[np.ndarray, " n"] | None = None,
    pro_limit: float = 0.3,
) -> dict[str, float]:
    """Return the seven metrics of one category, in the order of ``METRICS``, each in [0, 1].

    A score at or above the threshold counts as anomalous; ties are treated exactly. Pixel metrics look at
    ``masks`` only, image metrics at ``labels`` only. No value is flipped, so an AUROC below 0.5 stays below.

    What cannot be defined is NaN, never 0:

    - AUROC needs both classes; AP and F1max need a positive, and are 1 with positives only;
    - without any masked pixel the P- metrics and AUPRO are NaN; AUPRO also without any unmasked pixel.

    Constant maps are one big tie: AUROC is 0.5, AP the share of positives, AUPRO ``pro_limit / 2``.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous, of any range.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images.
        scores: image scores (N,), by default the maximum of each map.
        pro_limit: false-positive rate in (0, 1] up to which AUPRO is integrated.

    Raises:
        InputError: for no image, shapes that do not fit, masks or labels that are not boolean, a NaN (naming
            the index of its image) and a ``pro_limit`` outside (0, 1].
    """
    _check_arrays(maps, masks, labels)
    if not 0 < pro_limit <= 1:
        raise InputError(f"pro_limit={pro_limit} is no false-positive rate; give a number in (0, 1], usually 0.3")
    highest = maps.max(axis=(1, 2))
    _check_not_nan("maps", highest)  # the maximum of a map is NaN if any of its pixels is
    if scores is not None:
        _check_scores(scores, len(maps))
    image = rank(highest if scores is None else scores, labels)
    pixel = rank(maps, masks)
    values = [metric(ranking) for ranking in (image, pixel) for metric in (auroc, average_precision, f1_max)]
    return dict(zip(METRICS, [*values, aupro(pixel, masks, limit=pro_limit)], strict=True))


def average_metrics(categories: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over ``categories`` (name to metrics), leaving NaN out; NaN if all are.

    Raises:
        InputError: if there is no category.
    """
    if not categories:
        raise InputError("there is no category to average; give the metrics of at least one")
    return {name: _mean_of_defined([metrics[name] for metrics in categories.values()]) for name in METRICS}


def _mean_of_defined(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _check_arrays(maps: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> None:
    if maps.ndim != 3 or maps.size == 0:
        raise InputError(f"maps have the shape {maps.shape}; give (N, H, W) with at least one image")
    if masks.shape != maps.shape:
        raise InputError(f"masks have the shape {masks.shape}, maps {maps.shape}; resize masks to maps")
    if labels.shape != maps.shape[:1]:
        raise InputError(f"labels have the shape {labels.shape}; give one for each of the {len(maps)} maps")
    for name, array in (("masks", masks), ("labels", labels)):
        # numbers would be taken as indices, with wrong values and no error
        if array.dtype != np.bool_:
            raise InputError(f"{name} are {array.dtype}, not boolean; pass {name} > 0")


def _check_scores(scores: np.ndarray, n_images: int) -> None:
    if scores.shape != (n_images,):
        raise InputError(f"scores have the shape {scores.shape}; give one for each of the {n_images} maps")
    _check_not_nan("scores", scores)


def _check_not_nan(name: str, values: np.ndarray) -> None:
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        raise InputError(f"{name} hold NaN at image index {shown} (of {len(values)}); NaN has no rank")

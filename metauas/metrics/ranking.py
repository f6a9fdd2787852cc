"""AUROC, average precision and maximal F1, exact for every kind of tie.

All three depend only on the numbers of samples above, and at or above, each distinct score of a positive.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from metauas.metrics.checks import Labels, MapList, MaskList
from metauas.metrics.counting import count_beyond


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Counts at the k distinct scores of the positives, in ascending order of the score.

    Attributes:
        levels: the distinct scores, (k,).
        positives_at: positives with exactly this score, (k,).
        negatives_from: negatives with at least this score, (k,).
        negatives_above: negatives with a higher score, (k,).
        n_negatives: number of all negatives.
    """

    levels: Float[np.ndarray, " k"]
    positives_at: Int[np.ndarray, " k"]
    negatives_from: Int[np.ndarray, " k"]
    negatives_above: Int[np.ndarray, " k"]
    n_negatives: int

    @property
    def n_positives(self) -> int:
        """Number of all positives."""
        return int(self.positives_at.sum())

    @property
    def has_both(self) -> bool:
        """Whether there are positives and negatives."""
        return self.n_positives > 0 and self.n_negatives > 0

    @property
    def positives_from(self) -> Int[np.ndarray, " k"]:
        """Positives with at least this score, (k,)."""
        return np.cumsum(self.positives_at[::-1])[::-1]


def rank(
    positives: Float[np.ndarray, " n_positives"], negatives: Iterable[Float[np.ndarray, " _"]], *, n_negatives: int
) -> Ranking:
    """Count the samples above, and at or above, each distinct score of a positive.

    ``negatives`` come in pieces of any length, ``n_negatives`` in total. No score may be NaN; infinities are allowed.
    """
    levels, positives_at = np.unique(positives, return_counts=True)
    negatives_from, negatives_above = count_beyond(levels, negatives, n_scores=n_negatives)
    return Ranking(
        levels=levels,
        positives_at=positives_at,
        negatives_from=negatives_from,
        negatives_above=negatives_above,
        n_negatives=n_negatives,
    )


def rank_images(scores: Float[np.ndarray, " n"], labels: Labels) -> Ranking:
    """Rank image scores, the images labelled True as positives."""
    return rank(scores[labels], [scores[~labels]], n_negatives=int(np.count_nonzero(~labels)))


def rank_pixels(maps: MapList, masks: MaskList) -> Ranking:
    """Rank the pixels of all maps, the masked ones as positives, holding one image at a time."""
    positives = np.concatenate([values[mask] for values, mask in zip(maps, masks, strict=True)])
    negatives = (values[~mask] for values, mask in zip(maps, masks, strict=True))
    return rank(positives, negatives, n_negatives=sum(mask.size for mask in masks) - len(positives))


def auroc(ranking: Ranking) -> float:
    """Return the share of (positive, negative) pairs in the right order; ties count half.

    Computed in integers, so it is exact. NaN without positives or without negatives.
    """
    if not ranking.has_both:
        return float("nan")
    # twice the negatives below, plus those at the same score, which only one of the two terms subtracts
    below = 2 * ranking.n_negatives - ranking.negatives_from - ranking.negatives_above
    pairs = 2 * ranking.n_positives * ranking.n_negatives
    if pairs > np.iinfo(np.int64).max:  # for more than some hundred billion pixels
        return int(ranking.positives_at.astype(object) @ below.astype(object)) / pairs
    return int(ranking.positives_at @ below) / pairs


def average_precision(ranking: Ranking) -> float:
    """Return the mean precision over the positives, each at the threshold of its own score; NaN without positives.

    This step sum is scikit-learn's ``average_precision_score``.
    """
    if ranking.n_positives == 0:
        return float("nan")
    found = ranking.positives_from
    precision = found / (found + ranking.negatives_from)
    return float(np.einsum("k,k->", ranking.positives_at, precision)) / ranking.n_positives


def f1_max(ranking: Ranking) -> float:
    """Return the largest F1 over all thresholds. NaN without positives."""
    return float(np.max(f1_at_levels(ranking))) if ranking.n_positives else float("nan")


def f1_at_levels(ranking: Ranking) -> Float[np.ndarray, " k"]:
    """Return the F1 at each level, as the threshold at or above which samples count as positive."""
    found = ranking.positives_from
    detected = found + ranking.negatives_from
    detected += ranking.n_positives  # in place, since there may be as many levels as pixels
    f1 = found / detected
    f1 *= 2
    return np.asarray(f1)

"""AUROC, average precision and maximal F1, exact for every kind of tie.

All three depend only on how many samples score above, and at least as high as, each distinct score of a
positive. So one plain sort of all scores, which NumPy vectorises (unlike a sort of indices), and one binary
search per distinct score are enough.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Counts at the k distinct scores of the positives, in ascending order of the score.

    Attributes:
        positives_at: positives with exactly this score, (k,).
        negatives_from: negatives that score at least this, (k,).
        negatives_above: negatives that score more than this, (k,).
        group: for each positive, in the order given, the index of its score, (n_positives,).
        n_negatives: number of all negatives.
    """

    positives_at: Int[np.ndarray, " k"]
    negatives_from: Int[np.ndarray, " k"]
    negatives_above: Int[np.ndarray, " k"]
    group: Int[np.ndarray, " n_positives"]
    n_negatives: int

    @property
    def n_positives(self) -> int:
        """Number of all positives."""
        return len(self.group)

    @property
    def positives_from(self) -> Int[np.ndarray, " k"]:
        """Positives that score at least this, (k,)."""
        return np.cumsum(self.positives_at[::-1])[::-1]


def rank(scores: Float[np.ndarray, "*shape"], positive: Bool[np.ndarray, "*shape"]) -> Ranking:
    """Count what scores above and at least as high as each distinct score of a positive.

    ``scores`` and ``positive`` have the same shape; ``scores`` holds no NaN. Infinities rank first and last.
    """
    ordered = np.sort(scores, axis=None)
    distinct, group, positives_at = np.unique(scores[positive], return_inverse=True, return_counts=True)
    scored_from = scores.size - np.searchsorted(ordered, distinct, side="left")
    scored_above = scores.size - np.searchsorted(ordered, distinct, side="right")
    positives_from = np.cumsum(positives_at[::-1])[::-1]
    return Ranking(
        positives_at=positives_at,
        negatives_from=scored_from - positives_from,
        negatives_above=scored_above - (positives_from - positives_at),
        group=group,
        n_negatives=scores.size - len(group),
    )


def auroc(ranking: Ranking) -> float:
    """Return the share of (positive, negative) pairs in the right order, a tie counting half.

    Counted in integers, so it is exact. NaN without a positive or without a negative.
    """
    if ranking.n_positives == 0 or ranking.n_negatives == 0:
        return float("nan")
    # twice the negatives below: a negative at the same score is counted by one of the two terms only
    below = 2 * ranking.n_negatives - ranking.negatives_from - ranking.negatives_above
    return int(ranking.positives_at @ below) / (2 * ranking.n_positives * ranking.n_negatives)


def average_precision(ranking: Ranking) -> float:
    """Return the mean precision over the positives, each at the threshold of its own score.

    This step sum is scikit-learn's ``average_precision_score``, not the area under linear pieces.
    NaN without a positive.
    """
    if ranking.n_positives == 0:
        return float("nan")
    found = ranking.positives_from
    precision = found / (found + ranking.negatives_from)
    return float(ranking.positives_at @ precision) / ranking.n_positives


def f1_max(ranking: Ranking) -> float:
    """Return the largest F1 over all thresholds. NaN without a positive."""
    if ranking.n_positives == 0:
        return float("nan")
    found = ranking.positives_from
    return float(np.max(2 * found / (ranking.n_positives + found + ranking.negatives_from)))

"""The curves whose areas are AUROC and AUPRO."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metauas.metrics.checks import Labels, Maps, Masks, check_category
from metauas.metrics.pro import PRO_LIMIT, overlap_at_levels
from metauas.metrics.ranking import Ranking, rank_images, rank_pixels

#: A category's curves, by the metric that is the area under each.
Curves = Mapping[str, "Curve"]
POINTS = 200


@dataclass(frozen=True)
class Curve:
    """A polygonal line that never falls.

    Attributes:
        x: false-positive rates (K,), ascending.
        y: true-positive rates, or mean overlap with the regions, (K,), ascending.
    """

    x: Float[np.ndarray, " k"]
    y: Float[np.ndarray, " k"]

    def area(self) -> float:
        """Return the mean height over the range of rates, in [0, 1]."""
        return float(np.trapezoid(self.y, self.x) / (self.x[-1] - self.x[0]))

    def until(self, rate: float) -> "Curve":
        """Return the curve from 0 to a false-positive rate."""
        below = self.x <= rate
        if below.all():
            return self
        height = np.interp(rate, self.x, self.y)
        return Curve(np.append(self.x[below], rate), np.append(self.y[below], max(height, self.y[below][-1])))

    def thinned(self, points: int = POINTS) -> "Curve":
        """Return the curve with at most ``points`` of its points, including both ends.

        Points are spread evenly along x + y, both scaled to [0, 1], with both corners of every long straight piece.
        Between two points, x + y grows by at most 2 / (points / 2 - 1) unless the curve is straight.
        """
        if len(self.x) <= points:
            return self
        way = _share(self.x) + _share(self.y)
        after = np.searchsorted(way, np.linspace(0, way[-1], points // 2))
        kept = np.unique(np.concatenate([[0], after, np.maximum(after[1:] - 1, 0), [len(way) - 1]]))
        return Curve(self.x[kept], self.y[kept])


def category_curves(maps: Maps, masks: Masks, labels: Labels) -> dict[str, Curve]:
    """Return the exact curves of a category by metric: I-AUROC, P-AUROC and AUPRO (up to the rate 0.3).

    The area under each is the metric of ``compute_metrics``; undefined metrics have no curve. Pixel curves have two
    points for each distinct score of a masked pixel; see ``Curve.thinned``.

    Args:
        maps: anomaly maps (N, H, W), higher is more anomalous.
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images.

    Raises:
        InputError: shapes or types do not fit, or a map contains NaN.
    """
    check_category(maps, masks, labels)
    images = rank_images(maps.max(axis=(1, 2)), labels)
    pixels = rank_pixels(list(maps), list(masks))
    curves = {}
    if images.has_both:
        curves["I-AUROC"] = _curve(images, images.positives_at / images.n_positives)
    if pixels.has_both:
        overlap = overlap_at_levels(pixels.levels, list(maps), list(masks))
        curves["P-AUROC"] = _curve(pixels, pixels.positives_at / pixels.n_positives)
        curves["AUPRO"] = _curve(pixels, overlap).until(PRO_LIMIT)
    return curves


def _curve(ranking: Ranking, gains: Float[np.ndarray, " k"]) -> Curve:
    """Return the line that goes right to the rate of each level and up by its gain; a tie is a slope."""
    reached = np.minimum(np.cumsum(gains[::-1]), 1.0)  # rounded shares can add up to more than 1
    height = np.concatenate([[0.0], reached])
    rates = np.stack([ranking.negatives_above[::-1], ranking.negatives_from[::-1]], axis=1) / ranking.n_negatives
    x = np.concatenate([[0.0], rates.ravel(), [1.0]])
    y = np.concatenate([[0.0], np.stack([height[:-1], height[1:]], axis=1).ravel(), [1.0]])
    return Curve(x, y)


def _share(values: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    return (values - values[0]) / ((values[-1] - values[0]) or 1)

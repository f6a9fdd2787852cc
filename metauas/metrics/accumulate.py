"""Metrics image by image: exact, with all scores kept, or streaming, in constant memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from metauas.errors import InputError
from metauas.metrics.checks import check_boolean, check_pro_limit
from metauas.metrics.compute import exact_metrics, seven
from metauas.metrics.pro import PRO_LIMIT, region_shares
from metauas.metrics.ranking import Ranking, rank_images

# weight of one region; sums of integers do not depend on the order, and two million regions fit into 63 bits
WHOLE = 2**42


class Accumulator(ABC):
    """Base of both accumulators: checks and image scores."""

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._labels: list[bool] = []

    def update(
        self,
        values: Float[np.ndarray, "h w"],
        mask: Bool[np.ndarray, "h w"],
        label: bool | np.bool_,
        *,
        score: float | None = None,
    ) -> None:
        """Add one image.

        Args:
            values: its anomaly map (H, W), higher is more anomalous; sizes may differ from image to image.
            mask: (H, W), True where defective.
            label: True for an anomalous image.
            score: its image score, by default the maximum of the map.

        Raises:
            InputError: the map is empty, the mask has another shape or is not boolean, a value is NaN, or, when
                streaming, a score is outside the range; nothing is added then.
        """
        if values.ndim != 2 or values.size == 0:
            raise InputError(f"the map has the shape {values.shape}; give one (H, W) with at least one pixel")
        if mask.shape != values.shape:
            raise InputError(f"the mask has the shape {mask.shape}, the map {values.shape}; resize the mask to the map")
        check_boolean("mask", mask)
        score = float(values.max()) if score is None else float(score)
        if np.isnan(values.max()) or np.isnan(score):
            raise InputError(f"the map or score of image index {len(self._scores)} is NaN; NaN has no rank")
        self._add(values, mask)
        self._scores.append(score)
        self._labels.append(bool(label))

    @property
    def n_images(self) -> int:
        """Number of images added."""
        return len(self._scores)

    @abstractmethod
    def _add(self, values: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> None:
        """Add the pixels of one image."""

    def _images(self) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        if not self._scores:
            raise InputError("there is no image to evaluate; call update for at least one")
        return np.array(self._scores), np.array(self._labels)


class ExactMetrics(Accumulator):
    """The metrics of ``compute_metrics``, of images that are added one by one and may differ in size.

    All scores and masks are kept, 5 bytes per pixel for float32. ``result`` may be called at any time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._maps: list[Float[np.ndarray, "_ _"]] = []
        self._masks: list[Bool[np.ndarray, "_ _"]] = []

    def _add(self, values: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> None:
        self._maps.append(values.copy())
        self._masks.append(mask.copy())

    def result(self, *, pro_limit: float = PRO_LIMIT, extras: bool = False) -> dict[str, float]:
        """Return the metrics of all images so far, as ``compute_metrics`` does.

        Raises:
            InputError: there is no image, or ``pro_limit`` is outside (0, 1].
        """
        scores, labels = self._images()
        return exact_metrics(self._maps, self._masks, labels, scores, pro_limit=pro_limit, extras=extras)


class StreamingMetrics(Accumulator):
    """The seven metrics of images that are added one by one, in memory that does not grow with the pixels.

    Image metrics are exact. For pixel metrics and AUPRO, scores are counted in ``n_bins`` bins of equal width between
    ``lowest`` and ``highest``; scores in one bin count as ties. With 2**16 bins the error is below 1e-5 for the
    network's maps. For scores that concentrate in few bins, such as probabilities very close to 1, use logits and their
    range. The result does not depend on the order or batches of images, to the last bit.

    Args:
        lowest: lower bound of the scores.
        highest: upper bound of the scores.
        n_bins: number of bins, 24 bytes each.

    Raises:
        InputError: ``lowest`` is not below ``highest``, one of them is not finite, or there is no bin.
    """

    def __init__(self, *, lowest: float = 0.0, highest: float = 1.0, n_bins: int = 2**16) -> None:
        super().__init__()
        if not (np.isfinite([lowest, highest]).all() and lowest < highest):
            raise InputError(f"{lowest} to {highest} is no range of scores; give finite numbers, the lower one first")
        if n_bins < 1:
            raise InputError(f"n_bins={n_bins}; give at least 1, usually {2**16}")
        self._lowest, self._highest, self._n_bins = lowest, highest, n_bins
        self._positives, self._negatives, self._overlap = np.zeros((3, n_bins), dtype=np.int64)

    def _add(self, values: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> None:
        if values.min() < self._lowest or values.max() > self._highest:
            found = f"the map has scores from {values.min():g} to {values.max():g}"
            raise InputError(f"{found}; set lowest and highest, now {self._lowest:g} and {self._highest:g}")
        width = (self._highest - self._lowest) / self._n_bins
        index = ((values.astype(np.float64) - self._lowest) / width).astype(np.int64)
        np.minimum(index, self._n_bins - 1, out=index)
        found, rest = index[mask], index[~mask]
        np.add.at(self._negatives, rest, 1)
        if found.size:
            np.add.at(self._positives, found, 1)
            np.add.at(self._overlap, found, np.rint(region_shares(mask)[0] * WHOLE).astype(np.int64))

    @classmethod
    def merged(cls, parts: "Sequence[StreamingMetrics]") -> "StreamingMetrics":
        """Return the metrics of all images of all parts, for example of several processes.

        Raises:
            InputError: there is no part, or parts have different bins.
        """
        bins = {(part._lowest, part._highest, part._n_bins) for part in parts}
        if len(bins) != 1:
            raise InputError(f"{len(parts)} parts with {len(bins)} kinds of bins; give at least one, all with the same")
        ((lowest, highest, n_bins),) = bins
        whole = cls(lowest=lowest, highest=highest, n_bins=n_bins)
        for part in parts:
            whole._scores += part._scores
            whole._labels += part._labels
            whole._positives += part._positives
            whole._negatives += part._negatives
            whole._overlap += part._overlap
        return whole

    def result(self, *, pro_limit: float = PRO_LIMIT) -> dict[str, float]:
        """Return the seven metrics of all images so far; undefined metrics are NaN as in ``compute_metrics``.

        Raises:
            InputError: there is no image, or ``pro_limit`` is outside (0, 1].
        """
        check_pro_limit(pro_limit)
        scores, labels = self._images()
        levels = np.flatnonzero(self._positives)
        negatives_from = np.cumsum(self._negatives[::-1])[::-1][levels]
        pixels = Ranking(
            levels=levels.astype(np.float64),
            positives_at=self._positives[levels],
            negatives_from=negatives_from,
            negatives_above=negatives_from - self._negatives[levels],
            n_negatives=int(self._negatives.sum()),
        )
        overlap = self._overlap[levels] / max(int(self._overlap.sum()), 1)
        return seven(rank_images(scores, labels), pixels, overlap, pro_limit=pro_limit)

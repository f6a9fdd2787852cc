"""Counting scores beyond many levels exactly, without sorting all of them.

Every score falls into a bin; the order of bins is the order of scores. A bin that holds no level needs no more than
its number of scores, so only those in one bin with a level are sorted: a small share, and one image at a time is
all that is held of the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

MAX_BITS = 19  # tables of more bins leave the processor's cache, and cost more than the sorting they save
FEWER_BITS = 3  # so that the tables of few scores are no larger than the scores themselves


def count_beyond(
    levels: Float[np.ndarray, " k"], chunks: Iterable[Float[np.ndarray, " _"]], *, n_scores: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Return how many scores are at least, and how many above, each level.

    Args:
        levels: ascending and distinct.
        chunks: the scores, in pieces of any length; none is NaN, infinities rank first and last, -0.0 equals 0.0.
        n_scores: about how many they are in all, which sets the number of bins.
    """
    if len(levels) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    bins = Bins.around(levels, bits=min(MAX_BITS, n_scores.bit_length() - FEWER_BITS))
    place = bins.index(levels)
    has_level: Bool[np.ndarray, " bins"] = np.zeros(bins.number, dtype=np.bool_)
    has_level[place] = True
    tally = np.zeros(bins.number, dtype=np.int64)
    close = [levels[:0]]
    for scores in chunks:
        index = bins.index(scores)
        np.add.at(tally, index, 1)
        close.append(scores[has_level[index]])
    tally[has_level] = 0
    clear = np.cumsum(tally[::-1])[::-1][place]
    ordered = np.concatenate(close)
    del close, place  # with many levels every array of them counts
    ordered.sort()
    at_least, above = (np.searchsorted(ordered, levels, side=side) for side in ("left", "right"))
    for counts in (at_least, above):
        np.subtract(len(ordered), counts, out=counts)
        counts += clear
    return at_least, above


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Bins of equal width in the bit pattern of float32, so of nearly equal relative width in the score.

    The first bin holds whatever is below all levels, the last whatever is above.
    """

    lowest: np.uint32
    highest: np.uint32
    shift: np.uint32

    @classmethod
    def around(cls, levels: Float[np.ndarray, " k"], *, bits: int) -> "Bins":
        """Return at most 2**bits bins from the lowest to the highest level, and one at either end."""
        low, high = map(int, _ordered_bits(levels[[0, -1]]))
        shift = max(0, (high - low).bit_length() - max(bits, 1))
        below, above = max(0, low - (1 << shift)), min(2**32 - 1, high + (1 << shift))
        return cls(lowest=np.uint32(below), highest=np.uint32(above), shift=np.uint32(shift))

    @property
    def number(self) -> int:
        """Number of bins."""
        return (int(self.highest - self.lowest) >> int(self.shift)) + 1

    def index(self, scores: Float[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
        """Return the bin of each score; a higher score is never in a lower bin."""
        bits = _ordered_bits(scores)
        np.clip(bits, self.lowest, self.highest, out=bits)
        bits -= self.lowest
        bits >>= self.shift
        return bits


def _ordered_bits(scores: Float[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
    """Return the bit patterns of the scores in float32, changed so that they are in the order of the scores."""
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, which keeps the order
        rounded = scores.astype(np.float32, copy=False) + np.float32(0)  # -0.0 becomes 0.0
    negative = (rounded.view(np.int32) >> 31).view(np.uint32)  # all bits set, or none
    negative |= np.uint32(1 << 31)
    return np.bitwise_xor(rounded.view(np.uint32), negative, out=negative)

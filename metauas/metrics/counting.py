"""Exact counts of scores beyond many levels, without sorting all scores.

Scores fall into ordered bins. Bins without a level need only their number of scores, so that only scores in bins with a
level are kept and sorted, a small share.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

MAX_BITS = 19  # tables of more bins exceed the processor's cache, and cost more than they save
FEWER_BITS = 3  # so that tables are no larger than the scores


def count_beyond(
    levels: Float[np.ndarray, " k"], chunks: Iterable[Float[np.ndarray, " _"]], *, n_scores: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Return the numbers of scores at or above, and above, each level.

    Args:
        levels: ascending and distinct.
        chunks: the scores, in pieces of any length; no NaN, infinities are allowed, -0.0 equals 0.0.
        n_scores: approximate total number of scores, which sets the number of bins.
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
    del close, place  # with many levels, each such array is large
    ordered.sort()
    at_least, above = (np.searchsorted(ordered, levels, side=side) for side in ("left", "right"))
    for counts in (at_least, above):
        np.subtract(len(ordered), counts, out=counts)
        counts += clear
    return at_least, above


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Bins of equal width in the bit pattern of float32, and so of nearly equal relative width in the score.

    The first bin holds all scores below the levels, the last all above.
    """

    lowest: np.uint32
    highest: np.uint32
    shift: np.uint32

    @classmethod
    def around(cls, levels: Float[np.ndarray, " k"], *, bits: int) -> "Bins":
        """Return at most 2**bits bins from the lowest to the highest level, and one at each end."""
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
    """Return the bit patterns of the scores in float32, mapped so that their order is that of the scores."""
    with np.errstate(over="ignore"):  # scores too large for float32 become infinite, which keeps the order
        rounded = scores.astype(np.float32, copy=False) + np.float32(0)  # -0.0 becomes 0.0
    negative = (rounded.view(np.int32) >> 31).view(np.uint32)  # all bits set, or none
    negative |= np.uint32(1 << 31)
    return np.bitwise_xor(rounded.view(np.uint32), negative, out=negative)

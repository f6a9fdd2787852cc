"""Open pairs that exist: a folder of written pairs, or the data set of CYWS."""

from pathlib import Path

from torch.utils.data import Dataset

from metauas.files import require_folder
from metauas.synthesis.dataset import PairDataset
from metauas.synthesis.pairs import ChangePair
from metauas.synthesis.recipe import embedded_synthesizer
from metauas.synthesis.variation import Variation
from metauas.synthesis.written.cyws import CywsPairs, is_cyws


def open_pairs(
    data: str | Path,
    *,
    split: str = "train",
    size: int = 256,
    seed: int = 0,
    count: int = 500,
    variation: Variation | None = None,
) -> Dataset[ChangePair]:
    """Open a folder of written pairs, a CYWS folder, or ``embedded``, the pairs that are made on the fly.

    Args:
        data: the folder, or ``embedded``.
        split: ``train`` or ``validation``, and ``test`` for CYWS.
        size: side of the pairs, pixels; written pairs keep theirs.
        seed: seed of pairs that are drawn.
        count: number of the pairs of ``embedded``.
        variation: of the pairs of CYWS, as ``CywsPairs`` takes it.

    Raises:
        InputError: the folder is missing or holds no pairs.
    """
    if str(data) == "embedded":
        return PairDataset(embedded_synthesizer(size=size, split=split), length=count, seed=seed, split=split)
    folder = require_folder(data, hint="give a folder of written pairs, one of CYWS' coco-inpainted, or `embedded`")
    if is_cyws(folder):
        return CywsPairs(folder, split=split, size=size, seed=seed, variation=variation)
    from metauas.synthesis import WrittenPairs  # needs an extra

    return WrittenPairs(folder, split=split)

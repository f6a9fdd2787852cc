"""Written pairs as torch data sets: indexed from a folder, or streamed from a folder or the Hub."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import from_numpy
from torch.utils.data import Dataset, IterableDataset

from metauas.errors import InputError, check_choice, explained
from metauas.files import require_folder
from metauas.files.images import decode_image, to_tensor
from metauas.synthesis.dataset import SPLITS
from metauas.synthesis.pairs import ChangePair
from metauas.synthesis.written.shards import ROWS_A_GROUP, row_schema

_FINISH = "run `metauas synthesize` with this folder and its settings again to finish it"
_DAMAGED = {"what": "a shard of pairs", "hint": "write or copy it again"}


class WrittenPairs(Dataset[ChangePair]):
    """The pairs of one split of a folder, read from the shards; reading in order is quickest.

    Args:
        folder: a folder of ``write_pairs``.
        split: ``train`` or ``validation``.

    Raises:
        InputError: the folder holds no pairs of the split, or shards are missing.
    """

    def __init__(self, folder: str | Path, *, split: str = "train") -> None:
        self.files = list_shards(folder, split=split)
        self._ends = np.cumsum([_count_rows(file) for file in self.files])
        self._written = [file.stat().st_mtime_ns for file in self.files]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> ChangePair:
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        shard = int(np.searchsorted(self._ends, index, side="right"))
        row = index - (int(self._ends[shard - 1]) if shard else 0)
        file = self.files[shard]
        with explained(file, **_DAMAGED):
            group = _read_group(file, row // ROWS_A_GROUP, self._written[shard])
            return pair_of(group.slice(row % ROWS_A_GROUP, 1).to_pylist()[0], origin=f"{file} row {row}")


class PairStream(IterableDataset[ChangePair]):
    """One process' part of written pairs, in order; the parts of all processes do not overlap.

    Processes get whole shards if ``world_size`` divides their number, or else every ``world_size``-th pair. The workers
    of a loader share the shards; every process must have the same number of workers.

    Args:
        source: a folder of ``write_pairs``, or ``"owner/repository"`` of a data set on the Hub; a ``Path`` is always
            a folder.
        split: ``train`` or ``validation``.
        rank: number of this process.
        world_size: number of processes.

    Raises:
        InputError: shards are missing, the repository is not available, or ``rank`` is out of range.
    """

    def __init__(self, source: str | Path, *, split: str = "train", rank: int = 0, world_size: int = 1) -> None:
        from datasets import load_dataset  # only now: seconds to import
        from datasets.distributed import split_dataset_by_node

        if not 0 <= rank < world_size:
            raise InputError(f"rank={rank} of world_size={world_size} processes; ranks are 0 to {world_size - 1}")
        check_choice(name="split", value=split, choices=SPLITS)
        if isinstance(source, Path) or Path(source).exists():
            list_shards(source, split=split)
        try:
            rows = load_dataset(str(source), split=split, streaming=True).decode(False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{source} is no folder here, and cannot be loaded as a data set of the Hugging Face Hub: {error}"
            ) from error
        self.rows = split_dataset_by_node(rows, rank=rank, world_size=world_size)

    def __iter__(self) -> Iterator[ChangePair]:
        return map(pair_of, self.rows)


stream_pairs = PairStream


def list_shards(folder: str | Path, *, split: str) -> list[Path]:
    """Return the shards of a split in their order.

    Raises:
        InputError: there are no shards, or some are missing.
    """
    check_choice(name="split", value=split, choices=SPLITS)
    files = sorted((require_folder(folder) / split).glob("pairs-*-of-*.parquet"))
    if not files:
        raise InputError(
            f"{folder} holds no pairs of the split {split}; `metauas synthesize --out {folder}` writes them"
        )
    total = files[0].stem.rsplit("-", 1)[1].lstrip("0")
    if str(len(files)) != total:
        raise InputError(f"{folder} holds {len(files)} of {total} shards of the split {split}; {_FINISH}")
    return files


def _count_rows(file: Path) -> int:
    with explained(file, **_DAMAGED), pq.ParquetFile(file) as shard:
        missing = set(row_schema().names) - set(shard.schema_arrow.names)
        groups = [shard.metadata.row_group(number).num_rows for number in range(shard.num_row_groups)]
        if missing or any(rows != ROWS_A_GROUP for rows in groups[:-1]):
            raise InputError(f"{file} holds no pairs as `metauas synthesize` writes them; take it out")
        return sum(groups)


def pair_of(row: Mapping[str, Any], *, origin: str = "a row") -> ChangePair:
    """Return the pair of a row with encoded images.

    Raises:
        InputError: an image is damaged, or the three differ in size.
    """
    query, prompt, mask = (
        decode_image(row[side]["bytes"], origin=f"{side} of {origin}") for side in ("query", "prompt", "mask")
    )
    if not query.shape == prompt.shape == mask.shape:
        raise InputError(f"{origin}: query, prompt and mask are of different sizes; write or copy the shard again")
    return ChangePair(
        query=to_tensor(query),
        prompt=to_tensor(prompt),
        mask=from_numpy((mask[None, ..., 0] > 0).astype(np.float32)),
        kind=row["kind"],
        source=row["source"],
    )


@lru_cache(maxsize=4)  # pairs that are drawn together may be in two or three groups
def _read_group(file: Path, group: int, written: int) -> pa.Table:  # ``written`` tells files of the same name apart
    with pq.ParquetFile(file) as shard:
        return shard.read_row_group(group, use_threads=False)

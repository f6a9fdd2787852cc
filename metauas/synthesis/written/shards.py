"""Shards: parquet files of pairs, each a function of the synthesis' record and its number, complete or absent."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from metauas.errors import InputError
from metauas.files import atomic_path, to_disk
from metauas.synthesis.dataset import SPLITS
from metauas.synthesis.recipe import SynthesisSettings, build_synthesizer
from metauas.synthesis.written.record import Record, differences
from metauas.synthesis.written.rows import Skipped, Synthesize, draw_pair, make_row

#: Rows in a row group, which a reader loads for one pair: some megabytes at 256 pixels.
ROWS_A_GROUP = 32

_RECORD, _SKIPPED = b"metauas", b"metauas.skipped"  # keys of a file's metadata

Synthesizers = dict[str, Synthesize]


@dataclass(frozen=True)
class Shard:
    """One file: the pairs ``indices`` of a split, the ``number``-th file of ``total``."""

    split: str
    number: int
    total: int
    indices: range

    @property
    def name(self) -> str:
        """The file's path in the folder of the synthesis, as ``datasets.load_dataset`` expects it."""
        return f"{self.split}/pairs-{self.number:05d}-of-{self.total:05d}.parquet"

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class ShardContent:
    """Footer and small columns of a finished shard."""

    shard: Shard
    kinds: list[str]
    bytes: int
    skipped: list[Skipped]


def plan_shards(settings: SynthesisSettings) -> list[Shard]:
    """Return all shards of a synthesis, training first."""
    held_out, size, shards = round(settings.count * settings.validation_share), settings.shard_size, []
    for split, count in zip(SPLITS, (settings.count - held_out, held_out), strict=True):
        indices = [range(count)[start : start + size] for start in range(0, count, size)]
        shards += [Shard(split, number, len(indices), own) for number, own in enumerate(indices)]
    return shards


def build_synthesizers(settings: SynthesisSettings) -> Synthesizers:
    """Return the synthesizer of every split that has pairs."""
    splits = dict.fromkeys(shard.split for shard in plan_shards(settings))
    return {split: build_synthesizer(settings, split=split) for split in splits}


def write_shard(
    shard: Shard, synthesizers: Synthesizers, *, settings: SynthesisSettings, record: Record, out: Path
) -> None:
    """Make the pairs of a shard and write its file, which always has the same bytes.

    Raises:
        InputError: all attempts at a pair failed.
    """
    cv2.setNumThreads(1)  # one process per core is faster than many threads
    torch.set_num_threads(1)
    skipped: list[Skipped] = []
    draw = partial(draw_pair, synthesizers[shard.split], settings=settings, split=shard.split, skipped=skipped)
    rows = (make_row(draw(index=index), settings=settings, index=index) for index in shard.indices)
    with (
        atomic_path(out / shard.name, durable=True) as temporary,
        # PNG and JPEG are compressed already
        pq.ParquetWriter(temporary, row_schema(), compression="none", write_page_index=True) as writer,
    ):
        while group := list(islice(rows, ROWS_A_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=row_schema()))
        notes = {_RECORD: record, _SKIPPED: [asdict(item) for item in skipped]}
        writer.add_key_value_metadata({key: json.dumps(note, sort_keys=True) for key, note in notes.items()})
    to_disk((out / shard.name).parent)


def row_schema() -> pa.Schema:
    """Return the columns of a shard, with the metadata by which ``datasets`` recognises images.

    They are written by hand because importing ``datasets`` would take every worker seconds.
    """
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    types = dict.fromkeys(("query", "prompt", "mask"), image) | dict.fromkeys(("kind", "source"), pa.string())
    types |= {"index": pa.int64(), "seed": pa.int64(), "size": pa.int32()}
    features = {
        name: {"_type": "Image"} if kind == image else {"dtype": str(kind), "_type": "Value"}
        for name, kind in types.items()
    }
    return pa.schema(list(types.items()), metadata={"huggingface": json.dumps({"info": {"features": features}})})


def read_content(path: Path, shard: Shard) -> ShardContent:
    """Read kinds, bytes and skipped images of a finished shard."""
    with pq.ParquetFile(path) as file:
        kinds = file.read(columns=["kind"])["kind"].to_pylist()
        skipped = json.loads(file.metadata.metadata[_SKIPPED])
    return ShardContent(shard=shard, kinds=kinds, bytes=path.stat().st_size, skipped=[Skipped(**s) for s in skipped])


def unfinished_shards(out: Path, *, shards: list[Shard], record: Record) -> list[Shard]:
    """Return the shards that are missing in ``out``.

    Raises:
        InputError: a shard in it belongs to another synthesis; names the settings that differ.
    """
    files = sorted(out.glob("*/pairs-*.parquet"))
    found = {path.relative_to(out).as_posix(): _is_whole(path, record) for path in files}
    strange = set(found) - {shard.name for shard in shards}
    if strange:
        raise InputError(f"{out / min(strange)} is no shard of this synthesis; take it out")
    return [shard for shard in shards if not found.get(shard.name)]


def _is_whole(path: Path, record: Record) -> bool:
    """Return whether a file has its footer, which is written last."""
    try:
        notes = pq.read_metadata(path).metadata
        found = json.loads((notes or {}).get(_RECORD, b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return False
    if found != record:
        raise InputError(
            f"{path.parents[1]} holds pairs of another synthesis: {differences(found, record)}; give its "
            "settings, or another folder"
        )
    return True

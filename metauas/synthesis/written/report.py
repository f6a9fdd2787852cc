"""Reports of written pairs: counts, kinds and skipped images, read from the finished shards."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from metauas.synthesis.pairs import KINDS
from metauas.synthesis.written.record import Record, digest_of
from metauas.synthesis.written.shards import ShardContent

SKIPPED_NAME = "skipped.json"

#: Libraries that may make other pixels or bytes in another version.
_LIBRARIES = ("numpy", "opencv-python-headless", "scikit-image", "torch", "pyarrow")

Kinds = dict[str, dict[str, int]]


def count_kinds(contents: Sequence[ShardContent]) -> Kinds:
    """Return the number of pairs of each kind, by split."""
    counts: dict[str, Counter[str]] = {}
    for content in contents:
        counts.setdefault(content.shard.split, Counter()).update(content.kinds)
    return {split: {kind: count[kind] for kind in KINDS} for split, count in counts.items()}


def summarise(contents: Sequence[ShardContent], *, record: Record, pairs: int, seconds: float) -> dict[str, Any]:
    """Return the summary of a synthesis, ready for JSON.

    Args:
        contents: contents of all shards.
        record: the record of the synthesis.
        pairs: number of pairs that the last run wrote.
        seconds: duration of the last run, with the start of the workers.
    """
    kinds = count_kinds(contents)
    return {
        "pairs": {split: sum(counts.values()) for split, counts in kinds.items()},
        "kinds": kinds,
        "shards": len(contents),
        "bytes": sum(content.bytes for content in contents),
        "skipped": sum(len(content.skipped) for content in contents),
        "last run": {"pairs": pairs, "seconds": seconds, "pairs per second": pairs / seconds},
        "digest": digest_of(record),
        "settings": record,
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def list_skipped(contents: Sequence[ShardContent]) -> list[dict[str, Any]]:
    """Return every broken image with its error, its count and its pairs, most frequent first."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for content in contents:
        for item in content.skipped:
            pairs.setdefault((item.file, item.error), []).append(f"{content.shard.split}/{item.index}")
    return [
        {"file": file, "error": error, "count": len(of_pairs), "pairs": of_pairs}
        for (file, error), of_pairs in sorted(pairs.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]

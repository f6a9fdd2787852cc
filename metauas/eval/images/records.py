"""Records of segmented queries: a run that was stopped continues with the queries that are left."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metauas.errors import InputError
from metauas.eval.images.regions import Region
from metauas.files import content_digest, read_json, write_json

#: The hidden folder of the records, next to the overlays.
RECORDS_NAME = ".records"


@dataclass(frozen=True)
class SegmentedFile:
    """A segmented query.

    Attributes:
        query: its file.
        overlay: the picture written for it.
        score: the maximum of its map.
        verdict: ``OK`` or ``DEFECTIVE``; empty without a threshold.
        regions: regions above the threshold, in pixels of the query.
    """

    query: Path
    overlay: Path
    score: float
    verdict: str = ""
    regions: tuple[Region, ...] = ()


class Records:
    """The results of a run, one JSON file per overlay, written as soon as the overlay is there.

    A record holds a hash of the run, the query's file, the overlay's file and the result. If one of them differs, the
    record is not used and the query is segmented again.

    Args:
        out: folder of the overlays.
        run: hash of everything else that determines a result (``run_digest``).
        resume: use the records of an earlier run; without it, every query is segmented again.
    """

    def __init__(self, out: str | Path, *, run: str, resume: bool = True) -> None:
        self._folder = Path(out) / RECORDS_NAME
        self._run = run
        self._resume = resume

    def find(self, query: Path, overlay: Path) -> SegmentedFile | None:
        """Return the recorded result of a query, or None if there is none that applies."""
        file = self._file(overlay)
        if not (self._resume and file.is_file() and overlay.is_file()):
            return None
        try:
            record = read_json(file)
        except InputError:  # a power cut can leave an empty file
            return None
        if not isinstance(record, dict) or record.get("key") != self._key(query, overlay, record.get("result")):
            return None
        regions = tuple(_region(values) for values in record["result"]["regions"])
        return SegmentedFile(query=query, overlay=overlay, **{**record["result"], "regions": regions})

    def add(self, result: SegmentedFile) -> None:
        """Record a result, after its overlay was written."""
        regions = [
            asdict(region) | {"contours": [contour.tolist() for contour in region.contours]}
            for region in result.regions
        ]
        content = {"score": result.score, "verdict": result.verdict, "regions": regions}
        key = self._key(result.query, result.overlay, content)
        write_json(self._file(result.overlay), {"key": key, "result": content})

    def _file(self, overlay: Path) -> Path:
        return self._folder / f"{overlay.stem}.json"

    def _key(self, query: Path, overlay: Path, result: Any) -> str:
        parts = [self._run, content_digest(query), content_digest(overlay), result]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _region(values: dict[str, Any]) -> Region:
    return Region(**{**values, "contours": tuple(np.array(corners, dtype=np.int32) for corners in values["contours"])})

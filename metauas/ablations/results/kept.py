"""Results of a sweep that come with the package, for the tables of 05_ablations before any run."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.ablations.plan import RECORD
from metauas.ablations.results.collect import PLAIN, collect_metrics, metrics_files
from metauas.files import read_json, write_json, write_text

KEPT = Path(__file__).parent / "kept"
_TABLE, _ORIGIN = "offline.csv", "offline.json"
LIVE, STORED = "run here", "kept"  # values of the column ``source``


def all_metrics(*folders: str | Path) -> pd.DataFrame:
    """Return the metrics of sweeps, and the kept ones of factors that the sweeps do not have.

    Args:
        folders: of sweeps, as ``collect_metrics`` takes them; folders without a run are ignored.

    Returns:
        The columns of ``collect_metrics``, and ``source``: ``run here`` or ``kept``.
    """
    kept = pd.read_csv(KEPT / _TABLE).assign(source=STORED)
    filled = [folder for folder in folders if metrics_files(folder)]
    if not filled:
        return kept
    live = collect_metrics(*filled).assign(source=LIVE)
    frame = pd.concat([live, kept[~kept["factor"].isin(live["factor"])]], ignore_index=True)
    return frame.fillna({"condition": PLAIN}) if "condition" in frame else frame


def kept_origin() -> dict[str, Any]:
    """Return the origin of the kept results: command, versions, date, machine, and the parameters of all runs."""
    return read_json(KEPT / _ORIGIN)


def keep(sweep: str | Path, *, command: str, folder: str | Path = KEPT) -> Sequence[Path]:
    """Write the metrics of a sweep and their origin as the kept results, and return both paths.

    Args:
        sweep: the folder of a finished sweep.
        command: the command that ran it, for the record.
        folder: of the two files.

    Raises:
        InputError: as ``collect_metrics``.
    """
    frame = collect_metrics(sweep)
    records = [read_json(file.parents[1] / RECORD) for file in metrics_files(sweep)]
    first, *others = (record.get("parameters", {}) for record in records)
    common = {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    origin = {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("metauas", "torch", "timm")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "runs": len(records),
        "code": sorted({str(record.get("code")) for record in records}),
        "common parameters": common,
    }
    text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return [write_text(Path(folder) / _TABLE, text), write_json(Path(folder) / _ORIGIN, origin)]

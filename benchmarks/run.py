"""All benchmarks of speed and memory in one table: prints it, and writes it into docs/speed.md and JSON.

Each script runs in a process of its own, one after another. Scripts that need a folder, a GPU or hours are not among
them. Scripts that are named, each with its own options, are all that the table then shows.

    python benchmarks/run.py ["model --no-b4" "tiles --side 1024" …]
"""

import dataclasses
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Row, read_rows, table

from metauas.files import read_json, write_json, write_text

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "speed.json"
PAGE = HERE.parent / "docs" / "speed.md"
START, END = "<!-- measured by benchmarks/run.py -->", "<!-- end of what was measured -->"
SCRIPTS = (
    "start",
    "model",
    "tiles",
    "train",
    "busy",
    "freed_memory",
    "alignment",
    "synthesis",
    "metrics",
    "evaluation_memory",
)
PACKAGES = ("metauas", "torch", "onnxruntime", "numpy", "opencv-python-headless")


def machine() -> dict[str, Any]:
    """Return what the values depend on."""
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    load = round(os.getloadavg()[2], 1)  # of the last 15 minutes: other work on the cores shows here
    return {"platform": platform.platform(), "cores": os.cpu_count(), "processes that want a core": load, **versions}


def rows_of(command: str) -> list[Row]:
    """Run a script, given with its options, and return its rows."""
    print(f"\n{command}", flush=True)
    script, *options = shlex.split(command)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        subprocess.run([sys.executable, HERE / f"{script}.py", *options, "--out", file], check=True)
        return read_rows(file)


def measured(results: dict[str, Any]) -> str:
    """Return what stands between the markers of the page, and the markers."""
    about = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    rows = [Row(**row) for row in results["rows"]]
    return f"{START}\n\n{table(rows)}\n\nMeasured on: {about}.\n\n{END}"


def filled(page: str, results: dict[str, Any]) -> str:
    """Return the page with the results between its markers."""
    return page.split(START)[0] + measured(results) + page.split(END)[1]


def main() -> None:
    rows = [row for command in sys.argv[1:] or SCRIPTS for row in rows_of(command)]
    write_json(RESULTS, {"machine": machine(), "rows": [dataclasses.asdict(row) for row in rows]})
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), read_json(RESULTS)))
    print(f"\n{table(rows)}\n\nwritten: {RESULTS} and {PAGE}")


if __name__ == "__main__":
    main()

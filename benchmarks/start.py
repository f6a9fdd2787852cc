"""How long a command takes in a fresh process: the help, and the segmentation of one pair.

python benchmarks/start.py [--rounds 5]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import typer
from common import Row, in_turns, report, wall

from metauas.files.images import write_png
from metauas.seeding import rng_for


def draw_pair(folder: Path) -> list[str]:
    """Write two images of noise, and return the arguments that segment one by the other."""
    images = rng_for("start").integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    files = [write_png(folder / name, image) for name, image in zip(("normal.png", "query.png"), images, strict=True)]
    return ["segment", "--prompt", *map(str, files), "--out", str(folder / "maps")]


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def main(rounds: int = 5, out: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pair = draw_pair(Path(folder))
        calls = {
            "help": wall(lambda: run("-m", "metauas", "--help")),
            "python": wall(lambda: run("-c", "pass")),
            "pair": wall(lambda: run("-m", "metauas", *pair)),
            "torch": wall(lambda: run("-c", "import torch")),
        }
        in_turns(calls, rounds=1)  # files are in the system's cache
        seconds = in_turns(calls, rounds=rounds)
    rows = [
        Row(
            what=what,
            unit="s",
            ours=seconds[ours],
            against=f"{against} alone",
            reference=seconds[reference],
            limit=limit,
        )
        for what, ours, against, reference, limit in (
            ("`metauas --help`", "help", "Python", "python", 0.4),
            ("`metauas segment` of one pair, cold", "pair", "`import torch`", "torch", 4),
        )
    ]
    report(rows, out=out)


if __name__ == "__main__":
    typer.run(main)

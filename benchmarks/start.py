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
    help_row = Row(
        what="`metauas --help`",
        unit="s",
        ours=seconds["help"],
        against="Python alone",
        reference=seconds["python"],
        limit=0.4,
    )
    pair_row = Row(
        what="`metauas segment` of one pair, cold",
        unit="s",
        ours=seconds["pair"],
        against="`import torch` alone",
        reference=seconds["torch"],
        limit=4,
    )
    report([help_row, pair_row], out=out)


if __name__ == "__main__":
    typer.run(main)

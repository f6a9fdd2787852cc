"""A sweep over two workers against the same runs one after another: the share of the time, and that of a re-run."""

import tempfile
import time
from pathlib import Path

import pandas as pd

from metauas.ablations.factors import find_files
from metauas.ablations.sweep import run_sweep

WORKERS = 2
FACTORS = ("alignment", "prompt")
SEEDS = (1, 3)  # 12 runs: 6 trainings with their evaluations, and 6 evaluations of one more training


def seconds_of(out: Path, *, workers: int) -> float:
    start = time.perf_counter()
    runs = run_sweep(find_files(FACTORS), out=out, seeds=SEEDS, scale="quick", workers=workers)
    assert len(runs) == 12
    assert (runs["status"] != "failed").all(), runs["error"].tolist()
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds = {
            "one after another": seconds_of(Path(folder) / "serial", workers=0),
            f"{WORKERS} workers": seconds_of(Path(folder) / "workers", workers=WORKERS),
            "the same again": seconds_of(Path(folder) / "workers", workers=WORKERS),
        }
    table = pd.DataFrame({"seconds": seconds})
    table["share"] = table["seconds"] / seconds["one after another"]
    print(f"12 quick runs; goal for the workers: a share of at most 0.6\n\n{table.round(2).to_string()}")


if __name__ == "__main__":
    main()

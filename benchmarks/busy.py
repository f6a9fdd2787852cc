"""A training step on a busy machine: with OpenMP's own spinning, and with the limit that metauas sets.

Threads that spin while they wait take the core from the thread that they wait for. Each setting runs in a process of
its own, alone and next to two busy loops, in turns; the ratios are those of the medians.

    python benchmarks/busy.py [--rounds 3] [--loops 2]
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from common import print_table

SETTINGS = {"OpenMP's default": {"GOMP_SPINCOUNT": ""}, "metauas": {}}
STEP = """
import os, time
if os.environ.get("GOMP_SPINCOUNT") == "":
    del os.environ["GOMP_SPINCOUNT"]
    import torch  # before metauas could set the limit
from metauas.model import MetaUAS
from metauas.train import TrainSettings, training_pairs
from metauas.train.data import step_batches
from metauas.train.learner import Learner
from metauas.train.processes import new_accelerator
import torch
torch.set_num_threads(2)
settings = TrainSettings(steps=1)
learner = Learner(MetaUAS(settings.network_config), settings, accelerator=new_accelerator(settings))
((batch,),) = step_batches(training_pairs(settings), settings, start=0, process=0, processes=1)
learner.step([batch], step=0)
start = time.perf_counter()
for _ in range(3):
    learner.step([batch], step=0)
print((time.perf_counter() - start) / 3)
"""


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep ``count`` processes computing inside the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def step_seconds(setting: dict[str, str]) -> float:
    found = subprocess.run([sys.executable, "-c", STEP], env=os.environ | setting, capture_output=True, check=True)
    return float(found.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loops", type=int, default=2)
    given = parser.parse_args()
    seconds: dict[tuple[int, str], list[float]] = {}
    for _ in range(given.rounds):
        for loops in (0, given.loops):
            for name, setting in SETTINGS.items():
                with busy_loops(loops):
                    seconds.setdefault((loops, name), []).append(step_seconds(setting))
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    rows = [
        {
            "busy loops": loops,
            "threads": name,
            "seconds": value,
            "spread": max(seconds[loops, name]) - min(seconds[loops, name]),
            "times faster": medians[loops, "OpenMP's default"] / value,
        }
        for (loops, name), value in medians.items()
    ]
    print_table(rows, title="A training step of 12 pairs at 96 px, two threads")


if __name__ == "__main__":
    main()

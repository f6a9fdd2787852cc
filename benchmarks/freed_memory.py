"""What a training step on a CPU gains where freed memory is kept, as `metauas train` does, and what it costs.

Steps of ``lite`` on random images, in two fresh processes in turns, as a process cannot be told to give memory back
again. Seconds are those of the median step; memory is the most that was resident.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch
from common import print_table

from metauas.memory import keep_freed_memory
from metauas.model import create_model
from metauas.train.learner import ChangeLoss

WAYS = ("given back", "kept")


def step_seconds(*, size: int, batch_size: int, steps: int) -> float:
    """Return the median seconds of a step without its optimiser, after the first two."""
    torch.manual_seed(0)
    loss, seconds = ChangeLoss(create_model("lite")), []
    query, prompt = torch.rand(2, batch_size, 3, size, size)
    for _ in range(steps + 2):
        start = time.perf_counter()
        loss(query, prompt, (query > 0.5)[:, :1].float()).backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def measure(way: str, arguments: list[str]) -> tuple[float, float]:
    """Return seconds and GiB of a fresh process that keeps or gives back."""
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, *arguments], check=True, capture_output=True, text=True
    )
    seconds, kibibytes = map(float, done.stdout.split())
    return seconds, kibibytes / 2**20


def compared(rounds: list[dict[str, tuple[float, float]]]) -> list[dict[str, object]]:
    """Return one row a way: the medians over all rounds, and their ratios to those of the first way."""
    medians = {way: [statistics.median(r[way][i] for r in rounds) for i in (0, 1)] for way in WAYS}
    base = medians[WAYS[0]]
    return [
        {"freed memory": way, "s/step": seconds, "ratio": seconds / base[0], "GiB": held, "GiB ratio": held / base[1]}
        for way, (seconds, held) in medians.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way != WAYS[0] and not keep_freed_memory():
        print("only glibc can be told to keep freed memory")
        return
    if given.way is not None:
        seconds = step_seconds(size=given.size, batch_size=given.batch_size, steps=given.steps)
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    rows = compared([{way: measure(way, sys.argv[1:]) for way in WAYS} for _ in range(given.rounds)])
    print_table(rows, title=f"training steps of lite, {given.batch_size} pairs of {given.size} px")


if __name__ == "__main__":
    main()

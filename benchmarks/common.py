"""What the benchmarks share: seconds, peak memory and tables of ratios."""

import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd


def cpu_seconds(function: Callable[[], Any], repeats: int = 1) -> float:
    """Return the CPU seconds of the fastest of ``repeats`` calls, over all threads of this process."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def medians(calls: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """Return the median wall-clock seconds of each call, all taken in turns so that noise hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_bytes(function: Callable[[], Any]) -> int:
    """Return the most memory that Python and NumPy held during a call, above what they held before it."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def ratio_rows(seconds: Mapping[str, float], *, base: str) -> list[dict[str, Any]]:
    """Return one row a name: name, seconds, and the ratio to the seconds of ``base``."""
    return [{"name": name, "seconds": value, "ratio": value / seconds[base]} for name, value in seconds.items()]


def print_table(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print rows (column to value) as an aligned table under a title."""
    print(f"\n{title}\n")
    print(pd.DataFrame(list(rows)).to_string(index=False, float_format="{:.4g}".format))

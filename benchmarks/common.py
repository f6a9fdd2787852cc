"""What the benchmarks share: the row of the table, measuring in turns, and processes that measure on demand."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metauas.files import read_json, write_json

Samples = Mapping[str, Sequence[float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: our values against those of a reference, which were taken in turns.

    Attributes:
        what: what is measured, and on what.
        unit: unit of the values, such as ms or MiB.
        ours: our values, at least five.
        against: name of the reference; empty without one.
        reference: its values, as many as ours.
        times: goal, the smallest ratio.
        limit: goal, the largest median of ours.
        more: the more the better: the ratio is ours / reference; otherwise it is reference / ours.
    """

    what: str
    unit: str
    ours: Sequence[float]
    against: str = ""
    reference: Sequence[float] = ()
    times: float | None = None
    limit: float | None = None
    more: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better our median is than that of the reference."""
        if not self.reference:
            return None
        ours, reference = statistics.median(self.ours), statistics.median(self.reference)
        return ours / reference if self.more else reference / ours

    @property
    def is_reached(self) -> bool | None:
        """Whether every goal is reached; None without a goal."""
        if self.times is None and self.limit is None:
            return None
        enough = self.times is None or (self.ratio or 0) >= self.times
        return enough and (self.limit is None or statistics.median(self.ours) <= self.limit)

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        ratio, goals = self.ratio, []
        goals += [f"≥ {self.times:g} ×"] if self.times is not None else []
        goals += [f"≤ {self.limit:g} {self.unit}"] if self.limit is not None else []
        verdict = {None: "", True: " ✓", False: " ✗"}[self.is_reached]
        reference = f"{self.against}: {spread(self.reference)} {self.unit}" if self.reference else "–"
        times = "–" if ratio is None else f"{_short(ratio)} ×"
        return [self.what, reference, f"{spread(self.ours)} {self.unit}", times, (", ".join(goals) or "–") + verdict]


def spread(values: Sequence[float]) -> str:
    """Return the median, with the smallest and the largest value."""
    return f"{_short(statistics.median(values))} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [["what", "reference", "ours", "times better", "goal"], ["---"] * 5, *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def report(rows: Sequence[Row], *, out: Path | None) -> None:
    """Print the table, and write the rows as JSON if a file is given."""
    print(table(rows), flush=True)
    if out is not None:
        write_json(out, [dataclasses.asdict(row) for row in rows])


def read_rows(path: Path) -> list[Row]:
    """Read what ``report`` wrote."""
    return [Row(**fields) for fields in read_json(path)]


def in_turns(measures: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Return the values of each measure, all taken in turns so that noise hits all alike."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure())
    return values


def wall(call: Callable[[], Any], *, unit: float = 1.0) -> Callable[[], float]:
    """Return a measure: the wall-clock time of a call in units of so many seconds."""
    return _timed(call, clock=time.perf_counter, unit=unit)


def cpu(call: Callable[[], Any], *, unit: float = 1.0) -> Callable[[], float]:
    """Return a measure: the CPU time of a call over all threads, in units of so many seconds."""
    return _timed(call, clock=time.process_time, unit=unit)


def _timed(call: Callable[[], Any], *, clock: Callable[[], float], unit: float) -> Callable[[], float]:
    def measure() -> float:
        start = clock()
        call()
        return (clock() - start) / unit

    return measure


@contextmanager
def on_demand(script: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Start a script that calls ``serve``, and yield a call that returns its next value."""
    command = [sys.executable, script, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> Any:
            print(file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, f"{' '.join(command)} ended"
            return json.loads(answer)

        try:
            yield ask
        finally:
            process.stdin.close()  # which ends it


def serve(measure: Callable[[], Any]) -> None:
    """Answer each line from standard input by one value, as JSON."""
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)

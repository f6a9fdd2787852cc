"""The board of a sweep: the status of every run, live in a terminal or a notebook."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from IPython.display import HTML, display
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from metauas.ablations.plan import TRAIN, Run, Stage
from metauas.ablations.stages import DONE, FAILED, KEPT, Outcome


class Board:
    """A row for each variant, a column for each seed, and the errors below.

    Args:
        runs: all runs of the sweep.
        outcomes: of the stages that have ended, by their folders.

    Attributes:
        redraw: draws the board again; does nothing by default, for a board that redraws itself.
        tell: called with a sentence about each stage that has ended; does nothing by default.
    """

    def __init__(self, runs: Sequence[Run], outcomes: Mapping[str, Outcome]) -> None:
        self._runs = list(runs)
        self._outcomes = dict(outcomes)
        self._started: dict[str, float] = {}
        self._begun = time.perf_counter()
        self.redraw: Callable[[], None] = lambda: None
        self.tell: Callable[[str], None] = lambda sentence: None

    def started(self, folder: str) -> None:
        """Record that a stage has started, perhaps again on another worker."""
        self._started[folder] = time.perf_counter()

    def ended(self, stage: Stage, outcome: Outcome) -> None:
        """Record how a stage has ended."""
        self._outcomes[stage.folder] = outcome
        what = f"{stage.notebook} of {stage.folder} {outcome.status} after {outcome.seconds:.0f} s"
        self.tell(f"{self._title()}: {what}")
        self.redraw()

    def render(self) -> RenderableType:
        """Return the board as a rich renderable."""
        seeds = list(dict.fromkeys(run.seed for run in self._runs))
        table = Table(title=self._title(), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("run")
        for seed in seeds:
            table.add_column(f"seed {seed}", justify="right", no_wrap=True)
        cells: dict[str, dict[int, str]] = {}
        for run in self._runs:
            cells.setdefault(run.name, {})[run.seed] = self._cell(run)
        for name, row in cells.items():
            table.add_row(escape(name), *(row[seed] for seed in seeds))
        return Group(table, *self._failures())

    def _title(self) -> str:
        last = [self._outcomes.get(run.evaluation.folder) for run in self._runs]
        failed = sum(outcome is not None and outcome.failed for outcome in last)
        ended = sum(outcome is not None for outcome in last)
        seconds = time.perf_counter() - self._begun
        return f"{ended} of {len(last)} runs in {seconds:.0f} s" + (f", {failed} failed" if failed else "")

    def _cell(self, run: Run) -> str:
        if (last := self._outcomes.get(run.evaluation.folder)) is not None:
            seconds = sum(
                self._outcomes[stage.folder].seconds for stage in run.stages if stage.folder in self._outcomes
            )
            texts = {DONE: f"[green]{seconds:.0f} s[/]", KEPT: "[green]kept[/]"}
            return texts.get(last.status, "[bold red]failed[/]")
        for stage in run.stages:
            if stage.folder in self._started and stage.folder not in self._outcomes:
                verb = "training" if stage.notebook == TRAIN else "evaluating"
                return f"[yellow]{verb} {time.perf_counter() - self._started[stage.folder]:.0f} s[/]"
        return "[dim]·[/]"

    def _failures(self) -> Iterator[str]:
        for folder, outcome in self._outcomes.items():
            if outcome.status == FAILED:
                yield f"[bold red]{escape(folder)}[/]: {escape(outcome.error)}"


@contextmanager
def show_board(runs: Sequence[Run], outcomes: Mapping[str, Outcome]) -> Iterator[Board]:
    """Show the board inside the block: in the notebook's cell, on the terminal, or as lines of a log."""
    console, board = Console(highlight=False), Board(runs, outcomes)
    if console.is_jupyter:
        handle: Any = display(_html(board), display_id=True)  # type: ignore[no-untyped-call]
        board.redraw = lambda: handle.update(_html(board))
        yield board
        board.redraw()
    elif console.is_terminal:
        with Live(console=console, get_renderable=board.render, refresh_per_second=2):
            yield board
    else:
        board.tell = partial(console.print, markup=False, soft_wrap=True)
        yield board
        console.print(board.render(), soft_wrap=True)


def _html(board: Board) -> HTML:
    console = Console(record=True, file=io.StringIO(), width=100, force_jupyter=False)
    console.print(board.render())
    return HTML(console.export_html(inline_styles=True, code_format="<pre>{code}</pre>"))  # type: ignore[no-untyped-call]

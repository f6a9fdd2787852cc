"""What the board of a sweep says."""

import io

import pytest
from rich.console import Console

from metauas.ablations.display import Board, show_board
from metauas.ablations.plan import plan_runs
from metauas.ablations.stages import Outcome


@pytest.fixture
def runs(suite, write):
    return plan_runs([write(f"alignment/{name}.yaml", f"alignment: {name}") for name in ("none", "soft")], seeds=[1, 3])


def text_of(board):
    console = Console(width=120, file=io.StringIO())
    console.print(board.render())
    return console.file.getvalue()


def test_every_run_has_its_cell(runs):
    board = Board(runs, {runs[0].evaluation.folder: Outcome("kept")})
    training, evaluation = runs[1].stages
    assert text_of(board).count("·") == 3
    board.started(training.folder)
    assert "training 0 s" in text_of(board)
    board.ended(training, Outcome("done", 3.0))
    board.started(evaluation.folder)
    assert "evaluating 0 s" in text_of(board)
    board.ended(evaluation, Outcome("done", 4.0))
    text = text_of(board)
    assert "2 of 4 runs" in text
    assert [line.split() for line in text.splitlines() if "alignment/none" in line] == [
        ["alignment/none", "kept", "7", "s"]
    ]


def test_a_failure_is_told_once_with_its_cell(runs):
    board = Board(runs, {})
    training, evaluation = runs[0].stages
    error = "03_train.ipynb failed in cell 4 (`1 / 0`): ZeroDivisionError: [bold]"
    board.ended(training, Outcome("failed", 1.0, error))
    board.ended(evaluation, Outcome("skipped", error=error))
    text = text_of(board)
    assert "1 of 4 runs" in text
    assert "1 failed" in text
    assert text.count("cell 4 (`1 / 0`): ZeroDivisionError: [bold]") == 1
    assert training.folder in text


def test_where_there_is_no_screen_every_stage_is_a_line(runs, capsys):
    with show_board(runs, {}) as board:
        board.ended(runs[0].evaluation, Outcome("done", 4.0))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("04_eval of alignment/none/seed-1 done after 4 s")
    assert any("alignment/soft" in line for line in lines[1:])

"""The table of speed and memory: its rows, its script, and the page that shows it."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
APART = {"check_gpu", "coco_pairs", "keep_ablations", "released", "sweep", "textures", "visitors"}
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from common import serve
numbers = iter(range(100))
serve(lambda: next(numbers))
"""


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("benchmarks_run", BENCHMARKS / "run.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        spec.loader.exec_module(module)
        yield module
        sys.modules.pop("common")


@pytest.fixture(scope="module")
def common(run):
    return sys.modules["common"]


def test_the_page_shows_what_was_measured(run):
    page = run.PAGE.read_text(encoding="utf-8")
    assert page == run.filled(page, run.read_json(run.RESULTS))


def test_every_row_is_a_median_of_five_or_more(run):
    rows = [run.Row(**row) for row in run.read_json(run.RESULTS)["rows"]]
    assert all(len(row.ours) >= 5 for row in rows)
    assert all(len(row.reference) == len(row.ours) for row in rows if row.against)


def test_every_script_is_run_or_stands_apart(run):
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")} - {"common", "run"}
    assert scripts == {*run.SCRIPTS, *APART}


def test_a_script_s_rows_come_back_as_they_were(run, common, tmp_path, capsys):
    row = common.Row(what="a", unit="s", ours=[1.0, 2.0], against="b", reference=[3.0, 4.0], times=2.0)
    common.report([row], out=tmp_path / "rows.json")
    assert common.read_rows(tmp_path / "rows.json") == [row]
    assert capsys.readouterr().out == common.table([row]) + "\n"


def test_a_row_names_both_values_and_its_goal(common):
    row = common.Row(
        what="w", unit="ms", ours=[4.0, 5.0, 9.0], against="plain", reference=[19.0, 20.0, 21.0], times=4, limit=4.5
    )
    assert row.cells() == ["w", "plain: 20 (19 to 21) ms", "5 (4 to 9) ms", "4 ×", "≥ 4 ×, ≤ 4.5 ms ✗"]
    large = common.Row(what="w", unit="MiB", ours=[1234.5])
    assert large.cells()[2] == "1,234 (1,234 to 1,234) MiB"
    assert common.Row(what="w", unit="s", ours=[1.0]).cells() == ["w", "–", "1 (1 to 1) s", "–", "–"]


@pytest.mark.parametrize(
    ("goals", "more", "reached"),
    [
        ({}, False, None),
        ({"times": 2.0}, False, True),
        ({"times": 2.1}, False, False),
        ({"limit": 5.0}, False, True),
        ({"limit": 4.9}, False, False),
        ({"times": 2.0, "limit": 4.9}, False, False),
        ({"times": 0.5}, True, True),
        ({"times": 0.6}, True, False),
    ],
)
def test_a_goal_is_reached_at_its_value(common, goals, more, reached):
    row = common.Row(what="w", unit="s", ours=[5.0], against="r", reference=[10.0], more=more, **goals)
    assert row.is_reached is reached


def test_measures_take_turns(common):
    order = []
    calls = {name: lambda name=name: order.append(name) or float(len(order)) for name in "ab"}
    assert common.in_turns(calls, rounds=2) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert order == ["a", "b", "a", "b"]


def test_a_process_answers_on_demand_and_ends(common, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    with common.on_demand(str(script), str(BENCHMARKS)) as ask:
        assert [ask(), ask()] == [0, 1]

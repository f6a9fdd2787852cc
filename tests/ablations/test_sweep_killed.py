"""A sweep of toy notebooks over two workers, killed in the middle; and one of its workers, too."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from metauas.ablations.factors import find_files
from metauas.ablations.sweep import run_sweep

pytestmark = pytest.mark.long


def refuse(*_, **__):
    raise AssertionError("it would run again")


def times_run(out):
    """Return how often the notebook of each stage has come to its end, by the stage's folder."""
    return {str(file.parent.relative_to(out)): len(file.read_text()) for file in out.rglob("times-run.txt")}


def finished(out):
    return {str(file.parent.relative_to(out)) for file in out.rglob("run.json")}


@pytest.fixture
def arguments(suite, write, tmp_path):
    """Return the command of a sweep over two workers: two trainings, and four evaluations of a common one."""
    write("alignment/none.yaml", "alignment: none")
    for name in ("nearest", "pool"):
        write(f"prompt/{name}.yaml", f"prompt: {name}")
    write("scales/toy.yaml", "steps: 1")
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = f"{listen}; from metauas.cli import app; app()"
    options = ["--scale", "toy", "--seeds", "1,3", "--workers", "2", "--out", str(tmp_path / "out")]
    return [sys.executable, "-c", command, "sweep", "alignment", "prompt", *options]


@pytest.fixture
def start(arguments, tmp_path):
    """Return a function that starts the sweep, its words going into ``said.txt``; none outlives the test."""
    started = []

    def start():
        with (tmp_path / "said.txt").open("w") as said:
            started.append(subprocess.Popen(arguments, stdout=said, stderr=subprocess.STDOUT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until(condition, process):
    while not condition():
        assert process.poll() is None
        time.sleep(0.02)


def workers_of(process):
    """Return the workers of a sweep: the processes that start kernels."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            found += [one.parent()] if "ipykernel_launcher" in " ".join(one.cmdline()) else []
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_killed_worker_and_a_killed_sweep_lose_nothing_and_repeat_nothing(start, tmp_path, monkeypatch):
    out = tmp_path / "out"
    sweep = start()
    wait_until(lambda: finished(out), sweep)
    done_first = finished(out)
    family = psutil.Process(sweep.pid).children(recursive=True)
    sweep.kill()
    sweep.wait()
    assert not psutil.wait_procs(family, timeout=30)[1], "nothing of a killed sweep goes on"
    done_first |= finished(out)
    assert len(done_first) < 9
    run_then = {stage: times_run(out)[stage] for stage in done_first}

    sweep = start()
    wait_until(lambda: finished(out) > done_first and workers_of(sweep), sweep)
    os.kill(workers_of(sweep)[0].pid, signal.SIGKILL)
    # a stage that was killed between its last cell and its record had run before, and did so again by right
    run_then = {stage: times_run(out)[stage] for stage in finished(out)} | run_then
    assert sweep.wait(timeout=400) == 0
    assert "6 of 6 runs" in (tmp_path / "said.txt").read_text()

    assert len(finished(out)) == 2 + 1 + 6, "two trainings, a common one, six evaluations"
    counts = times_run(out)
    assert set(counts) == finished(out)
    assert {stage: counts[stage] for stage in run_then} == run_then, "what was done is not repeated"
    assert max(counts.values()) <= 3

    monkeypatch.setattr("metauas.ablations.sweep.open_client", refuse)
    again = run_sweep(find_files(["alignment", "prompt"]), out=out, seeds=[1, 3], scale="toy")
    assert again["status"].tolist() == ["kept"] * 6, "no worker is started for what is done"
    assert not list(Path(out).rglob(".tmp-*"))

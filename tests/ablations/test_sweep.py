"""Sweeps of toy notebooks: in this process, on two workers, and killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from metauas.ablations.collect import collect_metrics
from metauas.ablations.factors import find_files
from metauas.ablations.sweep import run_sweep
from metauas.errors import InputError
from metauas.files import read_json


def refuse(*_, **__):
    raise AssertionError("it would run again")


def times_run(out):
    """Return how often the notebook of each stage has come to its end, by the stage's folder."""
    return {str(file.parent.relative_to(out)): len(file.read_text()) for file in out.rglob("times-run.txt")}


def finished(out):
    return {str(file.parent.relative_to(out)) for file in out.rglob("run.json")}


def test_runs_survive_a_failure_and_are_not_repeated(suite, write, tmp_path, monkeypatch, capsys):
    files = [write(f"alignment/{name}.yaml", f"alignment: {name}") for name in ("none", "hard")]
    files.append(write("prompt/pool.yaml", "prompt: pool"))
    out = tmp_path / "out"
    stale = out / "alignment/hard/seed-1/04_eval/metrics.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")

    first = run_sweep(files, out=out, seeds=[1], workers=0, overrides={"steps": 3})
    assert first["status"].tolist() == ["done", "failed", "done"]
    assert first["variant"].tolist() == ["none", "hard", "pool"]
    assert "03_train.ipynb failed in cell 7 (`assert alignment" in first["error"][1]
    assert "hard alignment is broken here" in capsys.readouterr().out
    facts = read_json(out / "alignment/none/seed-1/04_eval/metrics.json")["facts"]
    assert facts["weights"] == "none 1 3"
    assert collect_metrics(out)["value"].tolist() == [0.1, 0.1]
    assert not (out / "alignment/hard/seed-1/04_eval").exists()

    monkeypatch.setattr("metauas.ablations.stages.run_notebook", refuse)
    again = run_sweep(files[::2], out=out, seeds=[1], overrides={"steps": 3})
    assert again["status"].tolist() == ["kept", "kept"]
    with pytest.raises(AssertionError, match="it would run again"):
        run_sweep(files[:1], out=out, seeds=[1], workers=0, overrides={"steps": 4})


def test_workers_are_refused_before_any_work(suite, write, tmp_path):
    files = [write("prompt/pool.yaml", "prompt: pool")]
    with pytest.raises(InputError, match="workers=-1: give a number from 0 up"):
        run_sweep(files, out=tmp_path / "out", seeds=[1], workers=-1)
    with pytest.raises(InputError, match=r"workers=2: .* none together with a scheduler"):
        run_sweep(files, out=tmp_path / "out", seeds=[1], workers=2, scheduler="tcp://127.0.0.1:1")
    assert not (tmp_path / "out").exists()


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

    sweep = start()
    wait_until(lambda: finished(out) > done_first and workers_of(sweep), sweep)
    os.kill(workers_of(sweep)[0].pid, signal.SIGKILL)
    done_second = finished(out)
    assert sweep.wait(timeout=400) == 0
    assert "6 of 6 runs" in (tmp_path / "said.txt").read_text()

    assert len(finished(out)) == 2 + 1 + 6, "two trainings, a common one, six evaluations"
    counts = times_run(out)
    assert set(counts) == finished(out)
    assert {counts[stage] for stage in done_first | done_second} == {1}
    assert max(counts.values()) <= 3

    monkeypatch.setattr("metauas.ablations.sweep.open_client", refuse)
    again = run_sweep(find_files(["alignment", "prompt"]), out=out, seeds=[1, 3], scale="toy")
    assert again["status"].tolist() == ["kept"] * 6, "no worker is started for what is done"
    assert not list(Path(out).rglob(".tmp-*"))

"""Sweeps of toy notebooks in this process."""

import pytest

from metauas.ablations.plan import EVAL, TRAIN, Stage
from metauas.ablations.results.collect import collect_metrics
from metauas.ablations.sweep import priorities, run_sweep
from metauas.errors import InputError
from metauas.files import read_json
from metauas.files.locks import alone_in


def refuse(*_, **__):
    raise AssertionError("it would run again")


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


def test_a_second_sweep_of_a_folder_is_refused(suite, write, tmp_path):
    file = write("prompt/pool.yaml", "prompt: pool")
    with alone_in(tmp_path / "out"), pytest.raises(InputError, match=r"another run is writing into .*out"):
        run_sweep([file], out=tmp_path / "out", seeds=[1])


def test_workers_are_refused_before_any_work(suite, write, tmp_path):
    files = [write("prompt/pool.yaml", "prompt: pool")]
    with pytest.raises(InputError, match="workers=-1: give a number from 0 up"):
        run_sweep(files, out=tmp_path / "out", seeds=[1], workers=-1)
    with pytest.raises(InputError, match=r"workers=2: .* none together with a scheduler"):
        run_sweep(files, out=tmp_path / "out", seeds=[1], workers=2, scheduler="tcp://127.0.0.1:1")
    assert not (tmp_path / "out").exists()


def test_a_training_for_many_goes_first_and_their_evaluations_fill_the_gaps_at_the_end():
    def stage(notebook, folder, after=None):
        return Stage(notebook=notebook, folder=folder, parameters={}, digest=folder, code="", after=after)

    shared, own = stage(TRAIN, "shared"), stage(TRAIN, "own")
    evaluations = [stage(EVAL, f"pool/{seed}", shared) for seed in range(3)]
    alone, released = stage(EVAL, "none/1", own), stage(EVAL, "released/1")
    assert priorities([own, alone, shared, *evaluations, released]) == [0, 0, 2, -2, -2, -2, 0]

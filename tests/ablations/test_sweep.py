"""Planning and running ablations."""

import pytest

from metauas.ablations.collect import collect_metrics
from metauas.ablations.runner import NotebookFailedError
from metauas.ablations.sweep import plan_runs, run_ablation
from metauas.errors import InputError
from metauas.files import read_json


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / "params" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_key_of_training_makes_a_chain_and_the_seed_goes_to_training(suite, write):
    runs = plan_runs([write("alignment/none.yaml", "alignment: none")], seeds=[1, 2], overrides={"size": 32})
    assert [(run.name, run.seed) for run in runs] == [("alignment/none", 1), ("alignment/none", 2)]
    assert runs[1].parameters == {"03_train": {"alignment": "none", "seed": 2}, "04_eval": {"size": 32}}


def test_without_a_key_of_training_only_the_evaluation_runs_with_the_seed_of_the_prompt(suite, write):
    (run,) = plan_runs([write("prompt/random.yaml", "prompt: random")], seeds=[7])
    assert run.parameters == {"04_eval": {"prompt": "random", "seeds": [7]}}
    assert list(run.parameters) == ["04_eval"]


def test_overrides_win_and_go_where_they_are_declared(suite, write):
    files = [write("lr/high.yaml", "lr: 0.1\nsteps: 100"), write("prompt/random.yaml", "prompt: random")]
    trained, evaluated = plan_runs(files, seeds=[0], overrides={"steps": 3, "size": 32})
    assert trained.parameters["03_train"] == {"lr": 0.1, "steps": 3, "seed": 0}
    assert evaluated.parameters["04_eval"] == {"prompt": "random", "size": 32, "seeds": [0]}


def test_the_digest_is_of_resolved_parameters(suite, write):
    same = [
        write("lr/a.yaml", "lr: 0.1"),
        write("lr/b.yaml", "lr: 0.1\nsteps: 2"),
        write("lr/c.yaml", "lr: 0.2"),
    ]
    first, written_out, other = (run.digest() for run in plan_runs(same, seeds=[0]))
    assert first == written_out != other


def test_a_plan_is_checked_before_any_work(suite, write):
    good = write("prompt/random.yaml", "prompt: random")
    with pytest.raises(InputError, match=r"bad\.yaml: 'promt' .*did you mean 'prompt'"):
        plan_runs([good, write("prompt/bad.yaml", "promt: pool")], seeds=[0])
    with pytest.raises(InputError, match=r"overrides: 'sise' .*did you mean 'size'\?"):
        plan_runs([good], seeds=[0], overrides={"sise": 1})
    with pytest.raises(InputError, match="override 'steps' would have no effect"):
        plan_runs([good], seeds=[0], overrides={"steps": 1})
    with pytest.raises(InputError, match="prompt/random with seed 1 is asked for twice"):
        plan_runs([good], seeds=[1, 1])
    with pytest.raises(InputError, match="got 1 files and 0 seeds"):
        plan_runs([good], seeds=[])
    with pytest.raises(InputError, match="workers=0 must be at least 1"):
        run_ablation([good], out="nowhere", seeds=[0], workers=0)


def test_runs_share_the_cores_survive_a_failure_and_are_not_repeated(suite, write, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    files = [write(f"alignment/{name}.yaml", f"alignment: {name}") for name in ("none", "hard")]
    out = tmp_path / "out"
    stale = out / "alignment/hard/seed-1/04_eval/metrics.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")

    first = run_ablation(files, out=out, seeds=[1], workers=2, overrides={"steps": 3})
    assert first["status"].tolist() == ["done", "failed"]
    assert first["variant"].tolist() == ["none", "hard"]
    assert "03_train.ipynb failed in cell" in first["error"][1]
    assert not stale.exists()
    facts = read_json(out / "alignment/none/seed-1/04_eval/metrics.json")["facts"]
    assert facts == {"weights": "none 1 3", "seeds": [1, 3], "size": 64, "threads": "3"}
    assert collect_metrics(out)["value"].tolist() == [0.1]

    def refuse(*_, **__):
        raise NotebookFailedError("it would run again")

    monkeypatch.setattr("metauas.ablations.sweep.run_notebook", refuse)
    again = run_ablation(files[:1], out=out, seeds=[1], overrides={"steps": 3})
    assert again["status"].tolist() == ["kept"]
    other = run_ablation(files[:1], out=out, seeds=[1], overrides={"steps": 4})
    assert other["error"].tolist() == ["it would run again"]

"""Running notebooks; each test that starts kernels costs seconds, so they are few and look at much."""

import os
import shutil
import sys

import nbformat
import pytest

import metauas
from metauas.ablations.notebooks import PACKAGE, check_injected, package_folder
from metauas.ablations.runner import NotebookFailedError, OwnKernelSpecs, kernel_environment, run_notebook, run_suite
from metauas.errors import InputError
from metauas.files import read_json


def test_the_suite_runs_in_order_and_shares_the_run_folder(suite, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "quick.yaml"
    file.write_text("steps: 5\nsize: 32\ncategories: [bottle]\n")
    out = tmp_path / "run"
    assert run_suite(file, out) == [out / "03_train.ipynb", out / "04_eval.ipynb"]
    assert (out / "03_train/checkpoint/weights.txt").read_text() == "soft 0 5"
    metrics = read_json(out / "04_eval/metrics.json")
    assert metrics["facts"]["size"] == 32
    assert metrics["cwd"] == str(suite)
    resolved = read_json(out / "04_eval.parameters.json")
    assert (resolved["size"], resolved["seeds"], resolved["categories"]) == (32, [1, 3], ["bottle"])
    assert resolved["run_dir"] == str(out)
    assert "2/2  04_eval" in capsys.readouterr().out


def test_a_failure_keeps_what_was_done_and_names_the_cell(suite, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "03_train.ipynb").write_text("an older run")
    parameters = {"alignment": "hard", "run_dir": str(out)}
    message = r"(?s)03_train\.ipynb failed in cell 7 \(`assert .*AssertionError: two lines:\nhard alignment"
    with pytest.raises(NotebookFailedError, match=message):
        run_notebook(suite / "03_train.ipynb", output=out / "03_train.ipynb", parameters=parameters)
    assert sorted(f.name for f in out.glob("*.*")) == [
        "03_train.failed.ipynb",
        "03_train.parameters.json",
        "times-run.txt",
    ]
    assert (out / "03_train.failed.ipynb").stat().st_mode & 0o777 == 0o644, "others may look at it"
    executed = nbformat.read(out / "03_train.failed.ipynb", as_version=4)
    assert sum(cell.get("execution_count") is not None for cell in executed.cells) == 7


def test_a_cell_that_takes_too_long_is_stopped(make_notebook, tmp_path):
    notebook = make_notebook("01_slow.ipynb", "seconds = 60", "import time\ntime.sleep(seconds)")
    with pytest.raises(NotebookFailedError, match=r"01_slow\.ipynb failed in cell 2 \(`import time`\).*[Tt]ime"):
        run_notebook(notebook, output=tmp_path / "01_slow.ipynb", parameters={}, timeout=1)
    assert (tmp_path / "01_slow.failed.ipynb").is_file()
    assert not (tmp_path / "01_slow.ipynb").exists()


def dying(deaths):
    """Return a stand-in for papermill whose kernel dies that often at its start, and its calls so far."""
    calls = []

    def execute(source, target, **_):
        calls.append(source)
        if len(calls) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        shutil.copy(source, target)

    return execute, calls


def test_a_kernel_that_dies_at_its_start_is_started_again(suite, tmp_path, monkeypatch):
    execute, calls = dying(deaths=2)
    monkeypatch.setattr("papermill.execute_notebook", execute)
    assert run_notebook(suite / "04_eval.ipynb", output=tmp_path / "a.ipynb", parameters={}).is_file()
    assert len(calls) == 3


def test_a_kernel_that_never_starts_is_given_up(suite, tmp_path, monkeypatch):
    execute, calls = dying(deaths=9)
    monkeypatch.setattr("papermill.execute_notebook", execute)
    with pytest.raises(NotebookFailedError, match="failed in its kernel before the first cell: RuntimeError"):
        run_notebook(suite / "04_eval.ipynb", output=tmp_path / "a.ipynb", parameters={})
    assert len(calls) == 3


def test_nothing_runs_when_a_parameter_is_wrong(suite, tmp_path):
    file = tmp_path / "quick.yaml"
    file.write_text("stepz: 5\n")
    with pytest.raises(InputError, match=r"quick\.yaml: 'stepz' .*did you mean 'steps'"):
        run_suite(file, tmp_path / "run")
    with pytest.raises(InputError, match="'stepz'"):
        run_notebook(suite / "03_train.ipynb", output=tmp_path / "run/a.ipynb", parameters={"stepz": 5})
    with pytest.raises(InputError, match="notebook='trian' is not known, did you mean 'train'"):
        run_suite(None, tmp_path / "run", only=["trian"])
    assert not (tmp_path / "run").exists()


def test_a_notebook_is_never_written_over(suite):
    before = (suite / "03_train.ipynb").read_bytes()
    with pytest.raises(InputError, match="is the notebook itself; choose another folder"):
        run_suite(None, suite)
    assert (suite / "03_train.ipynb").read_bytes() == before


def test_only_takes_stems_and_rooms_in_the_order_of_the_suite(suite, tmp_path, monkeypatch):
    monkeypatch.setattr("metauas.ablations.runner.run_notebook", lambda notebook, **_: notebook)
    train, evaluate = suite / "03_train.ipynb", suite / "04_eval.ipynb"
    assert run_suite(None, tmp_path, only=["eval", "03_train"]) == [train, evaluate]
    assert run_suite(None, tmp_path, only=["train"]) == [train]


def test_the_environment_is_lent_and_never_overwrites(monkeypatch):
    monkeypatch.setenv("METAUAS_SET", "user")
    with kernel_environment(METAUAS_SET="ours", METAUAS_UNSET="ours"):
        assert (os.environ["METAUAS_SET"], os.environ["METAUAS_UNSET"]) == ("user", "ours")
    assert os.environ["METAUAS_SET"] == "user"
    assert "METAUAS_UNSET" not in os.environ


def test_notebooks_run_on_this_interpreter_whatever_kernels_there_are(make_notebook, tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["/bin/false"], "display_name": "another environment", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    shown = "{sys.executable} {metauas.__file__}"
    cell = f"import sys, metauas\nfrom pathlib import Path\n_ = Path(where).write_text(f'{shown}')"
    notebook = make_notebook("01_where.ipynb", "where = ''", cell)
    run_notebook(notebook, output=tmp_path / "out.ipynb", parameters={"where": str(tmp_path / "where.txt")})
    assert (tmp_path / "where.txt").read_text().split() == [sys.executable, metauas.__file__]


def test_a_kernel_with_another_copy_of_the_package_is_refused(monkeypatch):
    monkeypatch.setenv(PACKAGE, package_folder())
    check_injected([])
    monkeypatch.setenv(PACKAGE, "/another/environment/metauas")
    with pytest.raises(InputError, match=r"has imported metauas from .*, but the command that runs it is in /another"):
        check_injected([])


def test_a_missing_ipykernel_gets_advice(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel.kernelspec", None)
    with pytest.raises(InputError, match=r"notebooks need ipykernel .*pip install ipykernel"):
        OwnKernelSpecs().get_kernel_spec("python3")

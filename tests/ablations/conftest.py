"""Tiny notebooks with the names and parameters of the real ones, so that a chain runs in seconds."""

from collections.abc import Callable
from pathlib import Path

import pytest

MakeNotebook = Callable[..., Path]

TRAIN_PARAMETERS = """\
run_dir = "runs"
seed = 0
steps: int = 2
lr = 1.0e-3
alignment = "soft"
"""
TRAIN_CELLS = [
    "from pathlib import Path",
    'checkpoint = Path(run_dir) / "03_train" / "checkpoint"\ncheckpoint.mkdir(parents=True, exist_ok=True)',
    '_ = (checkpoint / "weights.txt").write_text(f"{alignment} {seed} {steps}")',
    '_ = (Path(run_dir) / "times-run.txt").open("a").write("x")',
    'assert alignment != "hard", "two lines:\\nhard alignment is broken here"',
]
EVAL_PARAMETERS = """\
run_dir = "runs"
checkpoint = ""
prompt = "random"
seeds = [1, 3]
size: int = 64
categories = None
"""
EVAL_CELLS = [
    "import json, os\nfrom pathlib import Path",
    'weights = Path(checkpoint, "weights.txt").read_text() if checkpoint else ""',
    'block = {"mean": {"I-AUROC": {"mean": seeds[0] / 10, "std": 0.0}}, "categories": {}}',
    'folder = Path(run_dir) / "04_eval"\nfolder.mkdir(parents=True, exist_ok=True)',
    'facts = {"weights": weights, "seeds": seeds, "size": size, "threads": os.environ.get("OMP_NUM_THREADS")}',
    '_ = (folder / "metrics.json").write_text(json.dumps({**block, "facts": facts, "cwd": os.getcwd()}))',
    '_ = (Path(run_dir) / "times-run.txt").open("a").write("x")',
]


@pytest.fixture
def suite(make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two small notebooks, for training and evaluation, as the suite and return their folder."""
    make_notebook("03_train.ipynb", TRAIN_PARAMETERS, *TRAIN_CELLS)
    folder = make_notebook("04_eval.ipynb", EVAL_PARAMETERS, *EVAL_CELLS).parent
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(folder))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a parameter file into the ``params/`` beside the suite's notebooks."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / "params" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write

"""Tiny notebooks with the names and parameters of the real ones, so that a chain runs in seconds."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

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
    'checkpoint = Path(run_dir) / "03_train" / "checkpoint"\ncheckpoint.mkdir(parents=True)',
    '_ = (checkpoint / "weights.txt").write_text(f"{alignment} {seed} {steps}")',
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
    'facts = {"weights": weights, "seeds": seeds, "size": size, "threads": os.environ["OMP_NUM_THREADS"]}',
    '_ = (folder / "metrics.json").write_text(json.dumps({**block, "facts": facts, "cwd": os.getcwd()}))',
]


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """Return a function that writes a notebook: a heading, the parameters cell, then the other cells."""

    def make(name: str, parameters: str | None, *cells: str, tags: tuple[str, ...] = ("parameters",)) -> Path:
        tagged = [] if parameters is None else [new_code_cell(parameters, metadata={"tags": list(tags)})]
        notebook = new_notebook(cells=[new_markdown_cell("# A title"), *tagged, *map(new_code_cell, cells)])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = tmp_path / "notebooks" / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return make


@pytest.fixture
def suite(make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two small notebooks, for training and evaluation, as the suite and return their folder."""
    make_notebook("03_train.ipynb", TRAIN_PARAMETERS, *TRAIN_CELLS)
    folder = make_notebook("04_eval.ipynb", EVAL_PARAMETERS, *EVAL_CELLS).parent
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(folder))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return folder

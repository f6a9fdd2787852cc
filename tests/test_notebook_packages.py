"""What works without JupyterLab, papermill and what only notebooks need."""

import subprocess
import sys

import pytest

PACKAGES = ("papermill", "nbformat", "nbconvert", "jupyter_client", "ipykernel", "ipywidgets", "IPython")


def without_packages(code, *arguments):
    """Run code in a process where importing any of the packages fails."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({PACKAGES}))\n"
    return subprocess.run([sys.executable, "-c", hidden + code, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("command", [["run"], ["sweep", "alignment"]])
def test_commands_that_run_notebooks_name_the_extra(command, tmp_path):
    done = without_packages("from metauas.cli import app; app()", *command, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "install it with: pip install 'metauas[notebooks]'" in done.stderr


def test_everything_else_is_imported_without_them():
    rooms = "metauas.synthesis, metauas.model, metauas.train, metauas.eval, metauas.eval.images.files, metauas.cli"
    done = without_packages(f"import {rooms}, metauas.eval.report.figures, metauas.train.figures")
    assert done.returncode == 0, done.stderr

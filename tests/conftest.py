"""Shape checks for the whole package while tests run, and what tests of several rooms need."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
from jaxtyping import install_import_hook

matplotlib.use("Agg")
install_import_hook("metauas", "beartype.beartype")

_ALONE = "METAUAS_TEST_ALONE"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that are marked ``long``, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is marked ``alone`` in a process of its own: it forks, and others may have started threads."""
    if pyfuncitem.get_closest_marker("alone") is None or _ALONE in os.environ:
        return None
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    root, environment = pyfuncitem.config.rootpath, {**os.environ, _ALONE: "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return True


MakeNotebook = Callable[..., Path]


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """Return a function that writes a notebook: a heading, the parameters cell, then the other cells."""
    import nbformat  # here, because the import takes a second
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    def make(name: str, parameters: str | None, *cells: str, tags: tuple[str, ...] = ("parameters",)) -> Path:
        tagged = [] if parameters is None else [new_code_cell(parameters, metadata={"tags": list(tags)})]
        notebook = new_notebook(cells=[new_markdown_cell("# A title"), *tagged, *map(new_code_cell, cells)])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = tmp_path / "notebooks" / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return make

"""Shape checks for the whole package while tests run, and what tests of several rooms need."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import nbformat
import pytest
from jaxtyping import install_import_hook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

matplotlib.use("Agg")
install_import_hook("metauas", "beartype.beartype")

MakeNotebook = Callable[..., Path]


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

"""The front page of a run folder: its notebooks, tables and pictures, to be opened from disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.ablations.notebooks import notebooks_folder
from metauas.ablations.results.collect import MEAN, METRICS_FILE, format_mean_std, summary_table
from metauas.ablations.results.pages import write_notebook_page
from metauas.ablations.runner import run_notebook
from metauas.files import read_json, require_folder, write_text
from metauas.files.pages import render_page

INDEX = "ablations/results/index.html"
SUMMARY_FILE = "05_ablations/summary.csv"


def write_report(runs: str | Path) -> Path:
    """Run ``05_ablations`` on the runs of a sweep, without running any, and return the page of all it shows.

    Raises:
        NotebookFailedError: the notebook failed.
    """
    folder = require_folder(runs).resolve()
    notebook = notebooks_folder() / "05_ablations.ipynb"
    given = {"run_dir": str(folder), "factors": [], "sweeps": [str(folder)]}
    run_notebook(notebook, output=folder / notebook.name, parameters=given)
    return write_index(folder)


def write_index(run_dir: str | Path) -> Path:
    """Write ``<run_dir>/index.html`` and a page for each executed notebook in it, and return the index.

    The index shows, as far as they exist, the notebooks, the tables of ``04_eval/metrics.json`` and
    ``05_ablations/summary.csv``, and all pictures ``*/figures/*.png``. Links are relative; the network is not used.

    Raises:
        InputError: ``run_dir`` is no folder, or ``metrics.json`` is not JSON.
    """
    folder = require_folder(run_dir)
    title = f"MetaUAS run {folder.resolve().name}"
    notebooks = [_notebook_link(file) for file in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]
    pictures = [_picture(file, folder) for file in sorted(folder.glob("*/figures/*.png"))]
    text = render_page(INDEX, title=title, notebooks=notebooks, tables=_tables(folder), pictures=pictures)
    return write_text(folder / "index.html", text)


def metrics_frame(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Lay ``metrics.json`` out for reading: a column a metric, ``mean ± std`` in percent.

    A row is a method if the file compares ``"methods"`` (each a block with its own ``"mean"``, or the mean
    itself), else a category, with the mean over categories last.
    """
    if "methods" in metrics:
        rows = {name: block.get("mean", block) for name, block in metrics["methods"].items()}
    else:
        rows = {**metrics["categories"], MEAN: metrics["mean"]}
    cells = {
        name: {metric: format_mean_std(spread["mean"], spread.get("std")) for metric, spread in row.items()}
        for name, row in rows.items()
    }
    return pd.DataFrame.from_dict(cells, orient="index").fillna("–")


def _notebook_link(notebook: Path) -> tuple[str, str, bool]:
    """Write the page of a notebook; return its link, its name, and whether it failed."""
    page = write_notebook_page(notebook, notebook.with_suffix(".html"))
    return page.name, notebook.stem.removesuffix(".failed"), notebook.stem.endswith(".failed")


def _tables(folder: Path) -> dict[str, str]:
    """Return the tables that exist, as HTML by heading."""
    tables = {}
    if (metrics := folder / METRICS_FILE).is_file():
        tables["Evaluation"] = metrics_frame(read_json(metrics)).to_html(border=0)
    if (summary := folder / SUMMARY_FILE).is_file():
        tables["Ablations"] = summary_table(pd.read_csv(summary)).to_html(
            border=0, index=False, na_rep="–", float_format="{:.3f}".format
        )
    return tables


def _picture(file: Path, folder: Path) -> tuple[str, str, str]:
    """Return a picture's link, the notebook that drew it, and its name in words."""
    words = file.stem.replace("_", " ").replace("-", " ")
    return file.relative_to(folder).as_posix(), file.parts[-3], words

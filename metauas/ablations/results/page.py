"""The front page of a run folder: its notebooks, tables and pictures, to be opened from disk."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.ablations.notebooks import notebooks_folder
from metauas.ablations.results.collect import MEAN, METRICS_FILE, format_mean_std, summary_table
from metauas.ablations.results.pages import write_notebook_page
from metauas.ablations.runner import run_notebook
from metauas.files import read_json, require_folder, write_text
from metauas.files.pages import page

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

    Shown are, as far as they exist: the notebooks, the table of ``04_eval/metrics.json``, the table of
    ``05_ablations/summary.csv`` and all pictures ``*/figures/*.png``. Links are relative, nothing comes
    from the network.

    Raises:
        InputError: if ``run_dir`` is no folder or ``metrics.json`` is not JSON.
    """
    folder = require_folder(run_dir)
    title = f"MetaUAS run {folder.resolve().name}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _section("Notebooks", _notebook_links(folder)),
        _section("Evaluation", _metrics_tables(folder / METRICS_FILE)),
        _section("Ablations", _summary_table(folder / SUMMARY_FILE)),
        _section("Pictures", _pictures(folder)),
    ]
    return write_text(folder / "index.html", page(title=title, body="\n".join(filter(None, parts))))


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


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>\n{body}" if body else ""


def _notebook_links(folder: Path) -> str:
    lines = []
    for notebook in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        target = write_notebook_page(notebook, notebook.with_suffix(".html"))
        failed = ' <span class="failed">stopped with an error</span>' if notebook.stem.endswith(".failed") else ""
        name = html.escape(notebook.stem.removesuffix(".failed"))
        lines.append(f'<li><a href="{html.escape(target.name)}">{name}</a>{failed}</li>')
    return "\n".join(["<ul>", *lines, "</ul>"]) if lines else ""


def _metrics_tables(file: Path) -> str:
    return _table(metrics_frame(read_json(file))) if file.is_file() else ""


def _summary_table(file: Path) -> str:
    return _table(summary_table(pd.read_csv(file)), index=False) if file.is_file() else ""


def _table(frame: pd.DataFrame, *, index: bool = True) -> str:
    text = frame.to_html(border=0, index=index, na_rep="–", float_format="{:.3f}".format)
    return f'<div class="scroll">{text}</div>'


def _pictures(folder: Path) -> str:
    return "\n".join(_figure(file, folder) for file in sorted(folder.glob("*/figures/*.png")))


def _figure(file: Path, folder: Path) -> str:
    source = html.escape(file.relative_to(folder).as_posix())
    words = html.escape(file.stem.replace("_", " ").replace("-", " "))
    room = html.escape(file.parts[-3])
    image = f'<img src="{source}" alt="{words}" loading="lazy">'
    return f"<figure>{image}<figcaption>{room}: {words}</figcaption></figure>"

"""Pages of a run folder, which need no network: its front page, and its notebooks with formulas as pictures."""

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from metauas.ablations.notebooks import notebook_of
from metauas.ablations.results.collect import MEAN, METRICS_FILE, format_mean_std, summary_table
from metauas.ablations.runner import run_notebook
from metauas.errors import InputError
from metauas.files import read_json, require_file, require_folder, write_text
from metauas.files.pages import render_page

SUMMARY_FILE = "05_ablations/summary.csv"


def write_report(runs: str | Path) -> Path:
    """Run ``05_ablations`` on the runs of a sweep, without running any, and return the page of all it shows.

    Raises:
        NotebookFailedError: the notebook failed.
    """
    folder = require_folder(runs).resolve()
    notebook = notebook_of("05_ablations")
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
    pictures = [
        (file.relative_to(folder).as_posix(), file.parts[-3], re.sub("[_-]", " ", file.stem))
        for file in sorted(folder.glob("*/figures/*.png"))
    ]
    index = "ablations/results/index.html"
    text = render_page(index, title=title, notebooks=notebooks, tables=_tables(folder), pictures=pictures)
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


# --- notebooks


def write_notebook_page(notebook: str | Path, target: str | Path) -> Path:
    """Write an executed notebook as one HTML file that loads nothing, and return its path.

    Raises:
        InputError: the file is missing, or is not a notebook.
    """
    content = _read(notebook)
    _name_pictures(content)
    exporter = HTMLExporter(template_name="basic")  # type: ignore[no-untyped-call]
    exporter.register_filter("markdown2html", _markdown_to_html)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(content)
    colours = HtmlFormatter().get_style_defs(".highlight")
    text = render_page("ablations/results/notebook.html", title=Path(notebook).stem, body=body, colours=colours)
    return write_text(target, text)


def _read(notebook: str | Path) -> nbformat.NotebookNode:
    try:
        return nbformat.read(require_file(notebook), as_version=4)  # type: ignore[no-untyped-call]
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        raise InputError(f"{notebook} is not a Jupyter notebook: {error}") from error


def _name_pictures(notebook: nbformat.NotebookNode) -> None:
    """Give the pictures of each cell an alternative text: the heading above them."""
    heading = "the start"
    for cell in notebook.cells:
        titles = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
        if cell.cell_type == "markdown" and titles:
            heading = titles[-1]
        cell.metadata.setdefault("alt", f"Figure under {heading}")


def _markdown_to_html(source: str) -> str:
    return str(MarkdownWithMath(renderer=_FormulaRenderer(escape=False)).render(source))


class _FormulaRenderer(IPythonRenderer):
    """Renders formulas as pictures; nbconvert leaves them to MathJax, which needs the network."""

    def block_math(self, body: str) -> str:
        return f'<div class="scroll">{_formula(body, size=14.0)}</div>'

    def inline_math(self, body: str) -> str:
        return _formula(body, size=12.0)

    def latex_environment(self, name: str, body: str) -> str:
        return _as_source(f"\\begin{{{name}}}{body}\\end{{{name}}}")


def _formula(tex: str, *, size: float) -> str:
    """Return a formula as an SVG picture with its source as alternative text, else the source."""
    picture = io.BytesIO()
    font = FontProperties(family="serif", size=size, math_fontfamily="stix")
    try:
        depth = math_to_image(f"${' '.join(tex.split())}$", picture, prop=font, format="svg", dpi=72)
    except ValueError:  # mathtext knows only a part of TeX
        return _as_source(tex)
    data = base64.b64encode(picture.getvalue()).decode()
    image = Markup('<img style="vertical-align: {:.2f}pt" alt="{}" src="data:image/svg+xml;base64,{}">')
    return image.format(-depth, tex.strip(), data)


def _as_source(tex: str) -> str:
    return Markup("<code>{}</code>").format(tex.strip())

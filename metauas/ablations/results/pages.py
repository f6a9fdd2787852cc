"""Notebooks as web pages that need no network: formulas are pictures."""

import base64
import io
from pathlib import Path

import nbformat
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from metauas.errors import InputError
from metauas.files import require_file, write_text
from metauas.files.pages import render_page


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

"""Notebooks as web pages that need no network: formulas are pictures, the style stands in the page."""

import base64
import html
import io
from pathlib import Path

import nbformat
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]

from metauas.errors import InputError
from metauas.files import require_file, write_text

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 60rem;
       margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; }
a { color: #0b57d0; }
img, svg { max-width: 100%; height: auto; }
pre, .scroll, .output_html { overflow-x: auto; }
pre, code { font-size: 0.85rem; }
.input pre { background: #f6f8fa; padding: 0.6rem; border-radius: 4px; }
.output pre { margin: 0.4rem 0; padding-left: 0.6rem; border-left: 3px solid #d0d7de; }
.output_error pre { border-color: #c62828; }
.prompt, .anchor-link { display: none; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.25rem 0.6rem; text-align: left; border-bottom: 1px solid #d0d7de; white-space: nowrap; }
.dataframe td, .dataframe thead th { text-align: right; }
.dataframe tbody th, .dataframe td:first-child, .dataframe th:first-child { text-align: left; }
figure { margin: 1rem 0; }
figcaption { font-size: 0.85rem; color: #57606a; }
.failed { color: #c62828; }
"""


def page(*, title: str, body: str, style: str = "") -> str:
    """Return a complete HTML page, legible from a telephone's width on, that loads nothing from elsewhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def write_notebook_page(notebook: str | Path, target: str | Path) -> Path:
    """Write an executed notebook as one HTML file without outside parts, and return its path.

    Raises:
        InputError: if the notebook is missing or is none.
    """
    content = _read(notebook)
    _name_pictures(content)
    exporter = HTMLExporter(template_name="basic")  # type: ignore[no-untyped-call]
    exporter.register_filter("markdown2html", _markdown_to_html)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(content)
    colours = HtmlFormatter().get_style_defs(".highlight")
    return write_text(target, page(title=Path(notebook).stem, body=body, style=colours))


def _read(notebook: str | Path) -> nbformat.NotebookNode:
    try:
        return nbformat.read(require_file(notebook), as_version=4)  # type: ignore[no-untyped-call]
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        raise InputError(f"{notebook} is not a Jupyter notebook: {error}") from error


def _name_pictures(notebook: nbformat.NotebookNode) -> None:
    """Give every cell's pictures an alternative text: the heading that they stand under."""
    heading = "the start"
    for cell in notebook.cells:
        titles = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
        if cell.cell_type == "markdown" and titles:
            heading = titles[-1]
        cell.metadata.setdefault("alt", f"Figure under {heading}")


def _markdown_to_html(source: str) -> str:
    return str(MarkdownWithMath(renderer=_FormulaRenderer(escape=False)).render(source))


class _FormulaRenderer(IPythonRenderer):
    """Renders formulas here and now, where nbconvert leaves them to MathJax from the network."""

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
    alt, baseline = html.escape(tex.strip()), f"vertical-align: {-depth:.2f}pt"
    return f'<img style="{baseline}" alt="{alt}" src="data:image/svg+xml;base64,{data}">'


def _as_source(tex: str) -> str:
    return f"<code>{html.escape(tex.strip())}</code>"

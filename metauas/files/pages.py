"""HTML pages from Jinja2 templates, which lie as ``.html`` files in the package."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render_page(template: str, **values: Any) -> str:
    """Return the page of a template, given by its path in the package, with its values escaped.

    Templates extend ``files/page.html``: a complete page with its style, legible on a telephone, that loads nothing.
    """
    return _TEMPLATES.get_template(template).render(values)

"""Web pages that need no network: the style stands in the page."""

import html

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

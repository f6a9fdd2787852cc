"""Explorer: an interactive page that shows map, contours, verdict and attention for a prompt and a query.

``session`` (segmentation), ``drawing``, ``uploads``, ``examples`` and ``networks`` use no widgets; ``view`` shows their
results in JupyterLab and Voilà.
"""

from metauas.explorer.examples import Example, draw_example, list_examples
from metauas.explorer.networks import Network, open_network
from metauas.explorer.session import Answer, Question, Session
from metauas.explorer.uploads import read_upload

__all__ = [
    "Answer",
    "Example",
    "Network",
    "Question",
    "Session",
    "draw_example",
    "list_examples",
    "open_network",
    "read_upload",
]

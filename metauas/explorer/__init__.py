"""Explorer: an interactive page that shows map, contours, verdict and attention for a prompt and a query.

``session`` (network and segmentation), ``drawing``, ``uploads`` and ``examples`` use no widgets; ``view`` shows their
results in JupyterLab and Voilà.
"""

from metauas.explorer.examples import draw_example, list_examples
from metauas.explorer.session import Answer, Network, Question, Session, open_network
from metauas.explorer.uploads import read_upload

__all__ = [
    "Answer",
    "Network",
    "Question",
    "Session",
    "draw_example",
    "list_examples",
    "open_network",
    "read_upload",
]

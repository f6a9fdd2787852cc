"""Explorer: play with a network; a prompt and a query in, map, contours, verdict and looks out, as they are changed.

What is asked and answered (``session``), what is drawn (``drawing``), what is let in (``uploads``) and what there is to
start with (``examples``, ``networks``) know nothing of widgets; ``view`` shows them in JupyterLab and Voilà.
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

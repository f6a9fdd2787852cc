"""Progress bars: a widget in notebooks, a line in terminals, nothing where ``TQDM_DISABLE`` is set."""

import os

if os.environ.get("TQDM_DISABLE"):  # which the bar of notebooks does not look at
    from tqdm import tqdm
else:
    from tqdm.auto import tqdm

__all__ = ["tqdm"]

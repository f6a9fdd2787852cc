"""Opening a benchmark by name or folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from metauas.errors import check_choice
from metauas.eval.benchmarks.layouts import LAYOUTS, Benchmark
from metauas.eval.miniature import write_miniature

MINIATURE = "miniature"


def open_benchmark(
    data: str | Path = MINIATURE, *, layout: str = "mvtec", categories: Sequence[str] | None = None
) -> Benchmark:
    """Open a benchmark and check all of it before any work.

    Args:
        data: ``miniature`` (drawn into the cache folder on first use), or the folder of a benchmark.
        layout: layout of that folder, one of ``LAYOUTS``; ``folder`` is for your own data.
        categories: names of categories; None or an empty list takes all.

    Raises:
        InputError: the folder or layout is unknown, or the benchmark is not complete; names all problems.
    """
    reader = LAYOUTS[check_choice(name="layout", value=layout, choices=LAYOUTS)]
    root = write_miniature(miniature_folder()) if str(data) == MINIATURE else Path(data)
    return reader(root, categories or None)


def miniature_folder() -> Path:
    """Return the folder of Miniature: ``miniature`` in ``METAUAS_CACHE``, by default in ``~/.cache/metauas``."""
    cache = os.environ.get("METAUAS_CACHE") or Path.home() / ".cache" / "metauas"
    return Path(cache) / MINIATURE

"""Readers of benchmarks on disk, one per layout, by name in ``LAYOUTS``; all return a :class:`Benchmark`."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from metauas.errors import InputError, check_choice
from metauas.eval.benchmarks.layouts.folders import GOOD_NAMES, FolderLayout
from metauas.eval.benchmarks.layouts.problems import Problems
from metauas.eval.benchmarks.layouts.realiad import SINGLE_VIEW, list_realiad
from metauas.eval.benchmarks.layouts.samples import Benchmark, Category, Sample, load_mask, load_sample, mask_files
from metauas.eval.benchmarks.layouts.unread import left_out_of
from metauas.eval.benchmarks.layouts.visa import SPLIT, list_visa
from metauas.files import require_folder
from metauas.files.listing import tell_left_out

_log = logging.getLogger("metauas")
_LISTERS: dict[str, Callable[[Path, Sequence[str] | None, Problems], list[Category]]] = {
    "mvtec": FolderLayout(),
    "visa": list_visa,
    "goods": FolderLayout(),
    "btad": FolderLayout(good=("ok", "normal")),
    "loco": FolderLayout(),
    "mvtec2": FolderLayout(
        good=GOOD_NAMES,
        test="test_public",
        truth_in_test=True,
        validation="validation",
        unlabelled=("test_private", "test_private_mixed"),
    ),
    "mpdd": FolderLayout(),
    "real-iad": list_realiad,
    "real-iad-single": partial(list_realiad, lists=SINGLE_VIEW),
    "folder": FolderLayout(good=GOOD_NAMES, own=True),  # your own data, arranged as MVTec AD
}


def list_benchmark(
    root: str | Path, categories: Sequence[str] | None = None, *, layout: str
) -> tuple[Benchmark, Problems]:
    """List a benchmark and its problems; only the headers of images are read.

    Raises:
        InputError: the layout is unknown, or the root cannot be read in it at all.
    """
    lister = _LISTERS[check_choice(name="layout", value=layout, choices=_LISTERS)]
    folder = require_folder(root, hint="give the folder that holds the category folders")
    problems = Problems()
    try:
        read = lister(folder, categories, problems)
    except InputError as error:
        raise InputError(f"{error}{_other_layout(folder, layout)}") from error
    benchmark = Benchmark(name=folder.resolve().name, root=folder, categories=read, layout=layout)
    left_out = left_out_of(benchmark, whole=categories is None and not layout.startswith("real-iad"))
    return replace(benchmark, left_out=left_out), problems


def read_benchmark(root: str | Path, categories: Sequence[str] | None = None, *, layout: str) -> Benchmark:
    """List a benchmark and check all of it; only the headers of images are read.

    Args:
        root: the folder that holds the category folders; with layout ``folder`` also a single category.
        categories: names of categories, by default all.
        layout: one of ``LAYOUTS``; ``folder`` allows categories without any mask.

    Raises:
        InputError: one error with all problems: a missing root or category, a category without normal or test images,
            a missing or unreadable file, an anomalous image without a mask or with one of another aspect ratio, an
            entry of a list that is repeated or leads out of the root.
    """
    benchmark, problems = list_benchmark(root, categories, layout=layout)
    if problems:
        hint = _other_layout(benchmark.root, layout)
        raise InputError(f"{benchmark.root} is not a complete benchmark{hint}:\n{problems}")
    tell_left_out(benchmark.root, benchmark.left_out, hint="`metauas data check` lists them")
    for category in benchmark.categories:
        if all(sample.label for sample in category.test):
            kinds = ", ".join(sorted({sample.defect for sample in category.test}))
            _log.warning("%s: no folder of good test images; all are counted as defects: %s", category.name, kinds)
    return benchmark


def _other_layout(root: Path, layout: str) -> str:
    """Return a hint if ``root`` looks like another layout, else an empty string."""
    marks = {
        "visa": SPLIT,
        "real-iad": "realiad_jsons",
        "btad": "*/train/ok",
        "loco": "*/test/logical_anomalies",
        "mvtec2": "*/test_public",
        "mvtec": "*/train/good",
    }
    alike = {"goods": "mvtec", "mpdd": "mvtec", "folder": "mvtec", "real-iad-single": "real-iad"}.get(layout, layout)
    # an unpacked LOCO or MVTec AD 2 has MVTec's marks too, so the first in this order counts
    seen = next((name for name, mark in marks.items() if any(root.glob(str(mark)))), alike)
    return "" if seen == alike else f" (it looks like the layout {seen!r})"


#: Readers by layout, called with the root and, optionally, names of categories.
LAYOUTS: dict[str, Callable[..., Benchmark]] = {name: partial(read_benchmark, layout=name) for name in _LISTERS}


def read_mvtec(root: str | Path, categories: Sequence[str] | None = None) -> Benchmark:
    """Read MVTec AD, or anything in its layout, as :func:`read_benchmark` does."""
    return read_benchmark(root, categories, layout="mvtec")


__all__ = [
    "LAYOUTS",
    "Benchmark",
    "Category",
    "Problems",
    "Sample",
    "list_benchmark",
    "load_mask",
    "load_sample",
    "mask_files",
    "read_benchmark",
    "read_mvtec",
]

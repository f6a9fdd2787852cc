"""The paper's published results, and their comparison with an evaluation."""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.errors import check_choice
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.layouts.samples import MEAN
from metauas.eval.results import EXACT, OFFICIAL, Evaluation
from metauas.files.listing import is_folder
from metauas.metrics import METRICS

#: Name of the paper's columns in ``beside_paper``.
PAPER = "paper"
_LAYOUTS = ("mvtec", "visa", "goods")  # of the paper's benchmarks; VisA may also have the layout mvtec
#: The paper's variants: one prompt at random, and (★) the one most similar to each query.
RANDOM_PROMPT, MATCHED_PROMPT = "MetaUAS", "MetaUAS★"


@cache
def _published() -> pd.DataFrame:
    path = Path(__file__).with_name("paper_results.csv")
    return pd.read_csv(path, comment="#", dtype=dict.fromkeys(METRICS, str))


def paper_results(dataset: str) -> pd.DataFrame:
    """Return the published results of MetaUAS, MetaUAS★ and MetaUAS★+ on a benchmark.

    Rows are (method, category), ``mean`` last; columns (metric, ``mean`` or ``std``), percent. The deviation is over
    prompt seeds, NaN if the prompt is not random. Metrics are those of the author's script, which differ from the exact
    definitions (see ``compute_metrics_official``).

    Source: Gao, NeurIPS 2024, arXiv 2505.09265, Table 1 (rows ``mean``) and the per-category tables.

    Raises:
        InputError: there are no published results for this benchmark; names the benchmarks that have some.
    """
    rows = _rows_of(dataset).set_index(["method", "category"])
    parts = {metric: rows[metric].str.split("±", expand=True).reindex(columns=[0, 1]) for metric in METRICS}
    cells = {(metric, name): part[i] for metric, part in parts.items() for i, name in enumerate(("mean", "std"))}
    return pd.DataFrame(cells).astype(float)


def paper_size(dataset: str) -> int:
    """Return the side of the images in the paper's results on a benchmark, pixels.

    Raises:
        InputError: as ``paper_results``.
    """
    return int(_rows_of(dataset)["size"].iloc[0])


def _rows_of(dataset: str) -> pd.DataFrame:
    published = _published()
    check_choice(name="dataset", value=dataset, choices=published["dataset"].unique())
    return published[published["dataset"] == dataset]


def find_dataset(benchmark: Benchmark) -> str | None:
    """Return the name of the benchmark in the paper, by its categories and layout; None if it is not in the paper.

    All categories in the folder count, not only those opened: Miniature has a ``bottle``, too, and is not MVTec AD.
    """
    if benchmark.layout not in _LAYOUTS:
        return None
    names = {category.name for category in benchmark.categories}
    names |= {folder.name for folder in benchmark.root.iterdir() if is_folder(folder / "train")}
    for dataset, rows in _published().groupby("dataset", sort=False):
        if names <= set(rows["category"]) - {MEAN}:
            return str(dataset)
    return None


def beside_paper(evaluation: Evaluation, dataset: str | None, *, method: str | None = None) -> pd.DataFrame:
    """Return a table of an evaluation, under its main condition, and of the paper's results.

    Rows are the categories and their mean; columns (metric, ``ours exact``, ``ours official`` if evaluated and
    ``paper`` if there is a dataset), percent, means over prompt seeds. The paper's mean is that of Table 1 if all
    categories were evaluated, else that of the rows shown.

    Args:
        evaluation: the evaluation.
        dataset: name of the benchmark in the paper (see ``find_dataset``), or None.
        method: the paper's method, by default MetaUAS★ for the prompts ``nearest`` and ``pool``, else MetaUAS.

    Raises:
        InputError: there are no published results for this dataset or method.
    """
    definitions = [name for name in (EXACT, OFFICIAL) if name in evaluation.definitions()]
    ours = {name: evaluation.table(definition=name).loc[evaluation.network] for name in definitions}
    sources = {f"ours {name}": 100 * _means(table) for name, table in ours.items()}
    if dataset is not None:
        categories = [name for name in sources[f"ours {EXACT}"].index if name != MEAN]
        sources[PAPER] = _paper_rows(dataset, method or paper_method(evaluation), categories=categories)
    columns = [(m, name) for m in evaluation.metric_names() for name, table in sources.items() if m in table]
    return pd.concat(sources, axis=1).swaplevel(axis=1)[columns]


def paper_method(evaluation: Evaluation) -> str:
    """Return the paper's name of the method with the evaluation's prompts."""
    return MATCHED_PROMPT if evaluation.settings.prompt in ("nearest", "pool") else RANDOM_PROMPT


def _paper_rows(dataset: str, method: str, *, categories: Collection[str]) -> pd.DataFrame:
    results = paper_results(dataset)
    check_choice(name="method", value=method, choices=results.index.get_level_values("method").unique())
    shown = _means(results.loc[method]).reindex([*categories, MEAN])
    # categories of all methods: if one method lacks a category, its mean in Table 1 still covers all
    if {*categories, MEAN} != set(results.index.get_level_values("category")):
        shown.loc[MEAN] = shown.drop(index=MEAN).mean()
    return shown


def _means(table: Any) -> pd.DataFrame:
    names = table.columns.get_level_values(0).unique()
    return pd.DataFrame({metric: table[metric, "mean"] for metric in names})

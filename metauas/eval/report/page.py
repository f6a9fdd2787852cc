"""The report of an evaluation: one HTML file without other parts."""

import base64
import io
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.layouts.samples import MEAN
from metauas.eval.report.curves import Curves
from metauas.eval.report.figures import show_curves
from metauas.eval.report.gallery import Case, failures_first
from metauas.eval.report.paper import PAPER, beside_paper, find_dataset, paper_method, paper_size
from metauas.eval.results import EXACT, OFFICIAL, Evaluation
from metauas.files import write_text
from metauas.files.images import to_uint8
from metauas.files.pages import render_page
from metauas.metrics import METRICS
from metauas.plots import MAP_COLOURS

REPORT_NAME = "report.html"
LIBRARIES = ("metauas", "torch", "timm", "numpy")
_QUALITY = 85
_DEFINITIONS = {
    f"ours {EXACT}": "this network by the exact definitions: ties counted as ties, no AUROC flipped, AUPRO the exact"
    " area up to a false-positive rate of 0.3 (compute_metrics).",
    f"ours {OFFICIAL}": "this network by the definitions of the author's script, which the paper's numbers follow:"
    " maps scaled to [0, 1] by category, an AUROC below 0.5 reported as 1 − AUROC, AUPRO by 200 thresholds"
    " (compute_metrics_official).",
}


def write_report(
    out: str | Path,
    evaluation: Evaluation,
    *,
    benchmark: Benchmark,
    curves: Mapping[str, Curves] | None = None,
    cases: Sequence[Case] = (),
    checkpoint: str | Path | None = None,
) -> Path:
    """Write ``<out>/report.html`` and return its path.

    The page shows what was evaluated, the means of all methods, the categories next to the paper's numbers for this
    benchmark if it has any, the curves and the gallery. Pictures are in the file; it needs no script and no network.

    Args:
        out: the folder; made if it is missing.
        evaluation: the results.
        benchmark: the benchmark of the evaluation.
        curves: of ``MapGatherer``; left out if there are none.
        cases: of ``MapGatherer``, shown with the largest errors first.
        checkpoint: where the network was loaded from.
    """
    dataset = find_dataset(benchmark)
    beside = beside_paper(evaluation, dataset)
    metrics = evaluation.metric_names()
    groups = ([m for m in metrics if m.startswith("I-")], [m for m in metrics if not m.startswith("I-")])
    text = render_page(
        "eval/report/report.html",
        title=f"Evaluation on {benchmark.name}",
        facts=_facts(evaluation, benchmark, checkpoint),
        missing=_missing(evaluation),
        summary=_table(_summary(evaluation)),
        meanings=_meanings(beside, evaluation, dataset),
        categories=[_table(beside[group], digits=1) for group in groups],
        seed=evaluation.values["seed"].iloc[0],
        curves=_curves(curves or {}),
        worst=[_shown(case) for case in failures_first([case for case in cases if case.fails])],
        best=[_shown(case) for case in failures_first([case for case in cases if not case.fails])[::-1]],
    )
    return write_text(Path(out) / REPORT_NAME, text)


def _facts(evaluation: Evaluation, benchmark: Benchmark, checkpoint: str | Path | None) -> dict[str, str]:
    """Return what was evaluated, by heading; empty where it does not apply."""
    settings, conditions = evaluation.settings, evaluation.conditions()
    labels = [sample.label for category in benchmark.categories for sample in category.test]
    seeds = evaluation.values["seed"].unique()  # the seeds that made a difference
    prompts = [settings.prompt, _count(settings.shots, "shot", "shots")]
    prompts.append(f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}")
    own = f"; {evaluation.right_class:.0%} of the prompts show the query's own class"
    libraries = [f"{name} {version(name)}" for name in LIBRARIES]
    return {
        "Benchmark": f"{benchmark.root}: {_count(len(benchmark.categories), 'category', 'categories')}, "
        f"{len(labels) - sum(labels)} good and {sum(labels)} defective test images",
        "Checkpoint": str(checkpoint) if checkpoint is not None else "",
        "Prompts": ", ".join(prompts) + ("" if settings.prompt == "defective" else own),
        "Image side": f"{settings.size} pixels",
        "Conditions": ", ".join(conditions) if len(conditions) > 1 else "",
        "Versions": ", ".join([*libraries, f"Python {platform.python_version()}"]),
    }


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _summary(evaluation: Evaluation) -> pd.DataFrame:
    """Return the means of every method, and of the network under the other conditions."""
    names = evaluation.metric_names()
    cells = {method: _spreads(evaluation.table().loc[method], names) for method in evaluation.methods()}
    for condition in evaluation.conditions()[1:]:
        changed = evaluation.table(condition=condition).loc[evaluation.network]
        cells[f"{evaluation.network}, {condition}"] = _spreads(changed, names)
    return pd.DataFrame.from_dict(cells, orient="index")


def _spreads(table: Any, names: Sequence[str]) -> dict[str, str]:
    return {m: _spread(table.loc[MEAN, (m, "mean")], table.loc[MEAN, (m, "std")]) for m in names}


def _spread(mean: float, std: float) -> str:
    if np.isnan(mean):
        return "–"
    return f"{100 * mean:.1f}" if np.isnan(std) else f"{100 * mean:.1f} ± {100 * std:.1f}"


def _missing(evaluation: Evaluation) -> str:
    """Say which means leave out categories, because the metric is undefined there."""
    counts = evaluation.averaged_over()
    categories = evaluation.values["category"].nunique()
    fewer = [f"{metric} over {count}" for metric, count in counts.items() if count < categories]
    return f"Means are over {categories} categories, but {', '.join(fewer)}." if fewer else ""


def _meanings(table: pd.DataFrame, evaluation: Evaluation, dataset: str | None) -> dict[str, str]:
    """Return the meaning of each column of the table of categories."""
    shown = set(table.columns.get_level_values(1))
    meanings = {name: meaning for name, meaning in _DEFINITIONS.items() if name in shown}
    return meanings if dataset is None else meanings | {PAPER: _paper_words(evaluation, dataset)}


def _paper_words(evaluation: Evaluation, dataset: str) -> str:
    size = paper_size(dataset)
    words = (
        f"{paper_method(evaluation)} as published (Gao, NeurIPS 2024, arXiv 2505.09265, Table 1 and the per-category"
        f" tables), by the author's script, at {size} pixels; its mean is over the categories shown."
    )
    other = evaluation.settings.size
    return words if size == other else f"{words} Not the same setting: this evaluation is at {other} pixels."


def _table(table: pd.DataFrame, *, digits: int | None = None) -> str:
    form = None if digits is None else f"{{:.{digits}f}}".format
    return table.to_html(border=0, na_rep="–", float_format=form, index_names=False)


def _curves(curves: Mapping[str, Curves]) -> dict[str, str]:
    """Return a figure of each metric that has curves, as a data URL by its alternative text."""
    metrics = [metric for metric in METRICS if any(metric in found for found in curves.values())]
    return {
        f"{metric} curves of {', '.join(curves)}": _embed_figure(show_curves(curves, metrics=[metric]))
        for metric in metrics
    }


def _shown(case: Case) -> dict[str, Any]:
    """Return a case as the template shows it: name, caption, and pictures as data URLs by their titles."""
    heat = to_uint8(np.asarray(plt.get_cmap(MAP_COLOURS)(np.clip(case.map, 0, 1))[..., :3]))
    pictures = {"prompt": case.prompt, "query + truth": case.truth, "anomaly map": heat, "query + found": case.found}
    threshold = "" if np.isnan(case.threshold) else f", threshold {case.threshold:.3f}"
    return {
        "name": case.name,
        "caption": f"{case.title}; score {case.score:.3f}{threshold} ({case.name})",
        "pictures": {title: _embed(picture) for title, picture in pictures.items()},
    }


def _embed(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    data = io.BytesIO()
    # not subsampled: thin coloured lines would be blurred
    Image.fromarray(picture).save(data, format="JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def _embed_figure(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, dpi=160, format="png")
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"

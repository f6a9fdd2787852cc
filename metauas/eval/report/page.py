"""The report of an evaluation: one web page, complete in itself, to be opened, sent or printed."""

import base64
import html
import io
import platform
from collections.abc import Iterable, Mapping, Sequence
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
from metauas.files.pages import page
from metauas.metrics import METRICS
from metauas.plots import MAP_COLOURS

REPORT_NAME = "report.html"
LIBRARIES = ("metauas", "torch", "timm", "numpy")
_QUALITY = 85
_STYLE = """
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem; }
.case { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.4rem; margin: 1.2rem 0; }
.case figcaption { grid-column: 1 / -1; }
.case img { width: 100%; display: block; }
.case div { font-size: 0.75rem; color: #57606a; }
.dataframe tbody tr.mean > * { font-weight: 600; border-top: 2px solid #57606a; }
.dataframe thead th { text-align: center; }
.about th { vertical-align: top; }
.about td { white-space: normal; }
@media (max-width: 40rem) { .case { grid-template-columns: repeat(2, 1fr); } }
"""
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

    It says what was evaluated, shows the means of all methods, the categories beside the paper's if it has any for
    this benchmark, the curves and the gallery. Pictures stand in the file; it needs no script and no network.

    Args:
        out: the folder; made if it is missing.
        evaluation: what came out.
        benchmark: what it was evaluated on.
        curves: those of ``MapGatherer``; left out if there are none.
        cases: those of ``MapGatherer``, shown with the largest errors first.
        checkpoint: where the network was loaded from.
    """
    title = f"Evaluation on {benchmark.name}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _about(evaluation, benchmark, checkpoint),
        _section("Means over the categories", _summary(evaluation)),
        _section("Categories", _categories(evaluation, find_dataset(benchmark))),
        _section("Curves", _curves(curves or {}, evaluation)),
        _section("Test images, failures first", _gallery(cases)),
    ]
    return write_text(Path(out) / REPORT_NAME, page(title=title, body="\n".join(filter(None, parts)), style=_STYLE))


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>\n{body}" if body else ""


def _about(evaluation: Evaluation, benchmark: Benchmark, checkpoint: str | Path | None) -> str:
    settings = evaluation.settings
    tests = [sample for category in benchmark.categories for sample in category.test]
    defective = sum(sample.label for sample in tests)
    seeds = evaluation.values["seed"].unique()  # those that made a difference
    own = (
        ""
        if settings.prompt == "defective"
        else f"; {evaluation.right_class:.0%} of the prompts show the query's own class"
    )
    facts = {
        "Benchmark": f"{benchmark.root}: {_count(len(benchmark.categories), 'category', 'categories')}, "
        f"{len(tests) - defective} good and {defective} defective test images",
        "Checkpoint": str(checkpoint) if checkpoint is not None else "",
        "Prompts": f"{settings.prompt}, {_count(settings.shots, 'shot', 'shots')}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}{own}",
        "Image side": f"{settings.size} pixels",
        "Conditions": ", ".join(evaluation.conditions()) if len(evaluation.conditions()) > 1 else "",
        "Versions": ", ".join(
            [*(f"{name} {version(name)}" for name in LIBRARIES), f"Python {platform.python_version()}"]
        ),
    }
    rows = (f"<tr><th>{name}</th><td>{html.escape(fact)}</td></tr>" for name, fact in facts.items() if fact)
    return f'<table class="about">{"".join(rows)}</table>'


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _summary(evaluation: Evaluation) -> str:
    """Return a table of every method's means, and of the network's under the other conditions."""
    cells = {method: _spreads(evaluation.table().loc[method]) for method in evaluation.methods()}
    for condition in evaluation.conditions()[1:]:
        changed = evaluation.table(condition=condition).loc[evaluation.network]
        cells[f"{evaluation.network}, {condition}"] = _spreads(changed)
    words = "Percent, ± the sample deviation over prompt seeds, by the exact definitions."
    return f"<p>{words} {_missing(evaluation)}</p>\n{_table(pd.DataFrame.from_dict(cells, orient='index'))}"


def _spreads(table: Any) -> dict[str, str]:
    return {m: _spread(table.loc[MEAN, (m, "mean")], table.loc[MEAN, (m, "std")]) for m in METRICS}


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


def _categories(evaluation: Evaluation, dataset: str | None) -> str:
    table = beside_paper(evaluation, dataset)
    shown = list(dict.fromkeys(table.columns.get_level_values(1)))
    meanings = {name: meaning for name, meaning in _DEFINITIONS.items() if name in shown}
    if dataset is not None:
        meanings[PAPER] = _paper_words(evaluation, dataset)
    items = "".join(f"<li><b>{name}</b>: {html.escape(meaning)}</li>" for name, meaning in meanings.items())
    groups = ([m for m in METRICS if m.startswith("I-")], [m for m in METRICS if not m.startswith("I-")])
    tables = (_table(table[group], digits=1, mean_last=True) for group in groups)
    return f"<p>Percent, means over prompt seeds.</p><ul>{items}</ul>\n" + "\n<p></p>\n".join(tables)


def _paper_words(evaluation: Evaluation, dataset: str) -> str:
    size = paper_size(dataset)
    words = (
        f"{paper_method(evaluation)} as published (Gao, NeurIPS 2024, arXiv 2505.09265, Table 1 and the per-category"
        f" tables), by the author's script, at {size} pixels; its mean is over the categories shown."
    )
    other = evaluation.settings.size
    return words if size == other else f"{words} Not the same setting: this evaluation is at {other} pixels."


def _table(table: pd.DataFrame, *, digits: int | None = None, mean_last: bool = False) -> str:
    shown = table.rename_axis(index=None)
    shown.columns.names = [None] * shown.columns.nlevels
    form = None if digits is None else (lambda value: f"{value:.{digits}f}")
    text = shown.to_html(border=0, na_rep="–", float_format=form)
    if mean_last:
        start = text.rindex("<tr>")
        text = f'{text[:start]}<tr class="mean">{text[start + len("<tr>") :]}'
    return f'<div class="scroll">{text}</div>'


def _curves(curves: Mapping[str, Curves], evaluation: Evaluation) -> str:
    metrics = [metric for metric in METRICS if any(metric in found for found in curves.values())]
    if not metrics:
        return ""
    seed = evaluation.values["seed"].iloc[0]
    figures = [
        f'<img alt="{metric} curves of {html.escape(", ".join(curves))}"'
        f' src="{_embed_figure(show_curves(curves, metrics=[metric]))}">'
        for metric in metrics
    ]
    words = f"Exact curves of prompt seed {seed}; the area under each is the metric. Grey: chance."
    return f'<p>{words}</p>\n<div class="curves">{"".join(figures)}</div>'


def _gallery(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    words = (
        "The error of a defective image is 1 − average precision of its own pixels; of a good one (or one without a"
        " mask), the share of images of the other kind that its score, the maximum of its map, ranks wrongly against."
        " Outlined are the true mask, and what scores at or above the threshold of the category's P-F1max. Of each"
        " category the worst good, the worst defective and the best defective images are shown, of the first prompt"
        " seed; maps from 0 to the category's highest score."
    )
    worst = [_figure(case) for case in failures_first([case for case in cases if case.fails])]
    best = [_figure(case) for case in failures_first([case for case in cases if not case.fails])[::-1]]
    last = ["<h3>For comparison: the best</h3>", *best] if best else []
    return "\n".join([f"<p>{words}</p>", *worst, *last])


def _figure(case: Case) -> str:
    heat = to_uint8(np.asarray(plt.get_cmap(MAP_COLOURS)(np.clip(case.map, 0, 1))[..., :3]))
    pictures: Iterable[tuple[str, np.ndarray]] = (
        ("prompt", case.prompt),
        ("query + truth", case.truth),
        ("anomaly map", heat),
        ("query + found", case.found),
    )
    threshold = "" if np.isnan(case.threshold) else f", threshold {case.threshold:.3f}"
    caption = f"{case.title}; score {case.score:.3f}{threshold} ({case.name})"
    cells = (
        f'<div><img loading="lazy" alt="{html.escape(f"{name}: {case.name}")}" src="{_embed(picture)}">{name}</div>'
        for name, picture in pictures
    )
    return f'<figure class="case"><figcaption>{html.escape(caption)}</figcaption>{"".join(cells)}</figure>'


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

"""Results of an evaluation as metadata of a model card (``model-index``), for the Hugging Face Hub."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metauas.errors import InputError
from metauas.files import read_json

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

METRICS_NAME = "metrics.json"
_RIGHT = f"give the {METRICS_NAME} of `metauas eval` or 04_eval, or its folder"


def read_results(metrics: Mapping[str, str | Path]) -> "list[EvalResult]":
    """Read the mean metrics over categories, in [0, 1], as results for a model card.

    Metrics that the benchmark does not define (null in the file) have no result.

    Args:
        metrics: name of a benchmark, such as ``MVTec AD``, to the ``metrics.json`` of its evaluation, or the folder of
            this file.

    Raises:
        InputError: a file is missing or holds no evaluation; names it.
    """
    return [result for benchmark, path in metrics.items() for result in _results_of(benchmark, Path(path))]


def _results_of(benchmark: str, path: Path) -> "Iterator[EvalResult]":
    from huggingface_hub import EvalResult  # only now: half a second to import

    file = path / METRICS_NAME if path.is_dir() else path
    content = read_json(file)
    settings = content.get("settings") if isinstance(content, dict) else None
    for metric, value in _means(content, file=file).items():
        yield EvalResult(
            task_type="image-segmentation",
            task_name="Anomaly segmentation",
            dataset_type=re.sub(r"\W+", "-", benchmark).strip("-").lower(),
            dataset_name=benchmark,
            dataset_args=settings,
            metric_type=metric.lower(),
            metric_name=metric,
            metric_value=value,
        )


def _means(content: Any, *, file: Path) -> dict[str, float]:
    """Return the defined means by metric."""
    try:
        values = {str(metric): spread["mean"] for metric, spread in content["mean"].items()}
        known = {metric: float(value) for metric, value in values.items() if value is not None}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{file} holds no metrics of an evaluation; {_RIGHT}") from error
    if not known:
        raise InputError(f"{file} holds no metric that is defined; {_RIGHT}")
    return known


def results_section(results: "list[EvalResult]") -> str:
    """Return a Markdown section with one row per benchmark, in percent; empty without results."""
    if not results:
        return ""
    metrics = list(dict.fromkeys(str(result.metric_name) for result in results))
    values = {(result.dataset_name, result.metric_name): f"{100 * result.metric_value:.1f}" for result in results}
    cells = [["benchmark", *metrics], ["---"] * (len(metrics) + 1)]
    cells += [
        [name.replace("|", r"\|"), *(values.get((name, metric), "–") for metric in metrics)]
        for name in dict.fromkeys(result.dataset_name for result in results)
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in cells)
    return f"\n## Results\n\nMeans over the categories, in percent.\n\n{table}\n"

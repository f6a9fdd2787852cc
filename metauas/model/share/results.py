"""Results of an evaluation as metadata of a model card (``model-index``), for the Hugging Face Hub."""

import re
from collections.abc import Mapping
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

    Metrics that the benchmark does not define (null in the file) have no result. ``metrics`` are those of
    ``model_card``.

    Raises:
        InputError: a file is missing or holds no evaluation; names it.
    """
    from huggingface_hub import EvalResult  # only now: half a second to import

    results = []
    for benchmark, path in metrics.items():
        content, means = _read_means(Path(path))
        about: dict[str, Any] = {
            "task_type": "image-segmentation",
            "task_name": "Anomaly segmentation",
            "dataset_type": re.sub(r"\W+", "-", benchmark).strip("-").lower(),
            "dataset_name": benchmark,
            "dataset_args": content.get("settings"),
        }
        for metric, value in means.items():
            results.append(EvalResult(**about, metric_type=metric.lower(), metric_name=metric, metric_value=value))
    return results


def _read_means(path: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the content of the file and the defined means by metric."""
    file = path / METRICS_NAME if path.is_dir() else path
    content = read_json(file)
    try:
        values = {str(metric): spread["mean"] for metric, spread in content["mean"].items()}
        known = {metric: float(value) for metric, value in values.items() if value is not None}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{file} holds no metrics of an evaluation; {_RIGHT}") from error
    if not known:
        raise InputError(f"{file} holds no metric that is defined; {_RIGHT}")
    return content, known


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

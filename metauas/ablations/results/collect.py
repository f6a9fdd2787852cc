"""Collect the metrics of an ablation's runs into a table, and summarise it over seeds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.ablations.factors import natural_key
from metauas.ablations.plan import RECORD
from metauas.errors import InputError
from metauas.files import read_json, require_folder
from metauas.files.listing import is_ignored

METRICS_FILE = "04_eval/metrics.json"
PLAIN = "plain"  # the condition of files without conditions, where other files have some
_PLACES = ("factor", "variant", "condition", "source")  # columns that identify a row of the summary
MEAN = "mean"  # the name of the mean over categories, among their names
_OF_A_SEED = ("seed", "seeds")  # parameters in which runs of one variant may differ


def collect_metrics(*folders: str | Path) -> pd.DataFrame:
    """Read every ``<folder>/<factor>/<variant>/seed-<seed>/04_eval/metrics.json`` into one long table.

    Factors and variants come in natural order. A factor is read from the first folder that has any of it, because runs
    of two sweeps may differ in scale or network.

    Each file is ``{"categories": {name: {metric: {"mean", "std"}}}, "mean": {metric: {"mean", "std"}}}``. It may hold
    such blocks by name under ``"conditions"``, the first of which the main block repeats, or name its ``"condition"``.

    Returns:
        Columns factor, variant, seed, category (``mean`` is the mean over categories), metric, value (in
        [0, 1], NaN where undefined), and condition if any file names one (``plain`` in files that do not).

    Raises:
        InputError: a folder is missing or none holds metrics, a file has another form, or the seeds of a variant have
            different parameters.
    """
    files = metrics_files(*folders)
    _check_alike([file.parents[1] for file in files])
    rows = [row for file in files for row in _rows(file)]
    if not rows:
        where = ", ".join(map(str, folders))
        raise InputError(f"no metrics in {where}; it should hold <factor>/<variant>/seed-<seed>/{METRICS_FILE}")
    frame = pd.DataFrame(rows)
    if frame["condition"].isna().all():
        return frame.drop(columns="condition")
    return frame.fillna({"condition": PLAIN})


def existing(folders: Sequence[str | Path]) -> list[Path]:
    """Return those of the folders that exist."""
    return [Path(folder) for folder in folders if Path(folder).is_dir()]


def metrics_files(*folders: str | Path) -> list[Path]:
    """Return the metrics files that ``collect_metrics`` reads, in its order."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        of_factor: dict[str, list[Path]] = {}
        for file in require_folder(folder).glob(f"*/*/seed-*/{METRICS_FILE}"):
            if not any(map(is_ignored, file.parts[-5:])):
                of_factor.setdefault(file.parts[-5], []).append(file)
        found = of_factor | found
    files = chain.from_iterable(found.values())
    return sorted(files, key=lambda file: [natural_key(part) for part in file.parts[-5:-2]])


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return mean and sample deviation over seeds of each variant × metric, from the means over categories.

    Args:
        frame: the table of ``collect_metrics``.

    Returns:
        Columns factor, variant, (condition, source,) metric, mean, std (n − 1; NaN for one seed), seeds (how many),
        in the order of first appearance.
    """
    over_categories = frame[frame["category"] == MEAN]
    keys = [key for key in (*_PLACES, "metric") if key in frame]
    groups = over_categories.groupby(keys, sort=False)["value"]
    return groups.agg(mean="mean", std="std", seeds="count").reset_index()


def summary_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``summary`` as a table: variants as rows, metrics as columns, ``mean ± std`` in percent."""
    keys = [key for key in _PLACES if key in frame]
    cells = [format_mean_std(mean, std) for mean, std in zip(frame["mean"], frame["std"], strict=True)]
    wide = frame.assign(cell=cells).pivot(index=keys, columns="metric", values="cell")
    order = frame[keys].drop_duplicates()
    rows = pd.MultiIndex.from_frame(order) if len(keys) > 1 else pd.Index(order[keys[0]])
    return wide.loc[rows, list(frame["metric"].unique())].rename_axis(columns=None).reset_index()


def format_mean_std(mean: float | None, std: float | None = None, *, scale: float = 100.0) -> str:
    """Format ``mean ± std`` times ``scale`` (percent); an undefined spread is left out, a mean is ``–``."""
    if mean is None or math.isnan(mean):
        return "–"
    text = f"{mean * scale:.1f}"
    return text if std is None or math.isnan(std) else f"{text} ± {std * scale:.1f}"


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    factor, variant, seed = file.parts[-5:-2]
    run = {"factor": factor, "variant": variant, "seed": int(seed.removeprefix("seed-"))}
    metrics = read_json(file)
    blocks = list(metrics.get("conditions", {}).items()) or [(metrics.get("condition"), metrics)]
    try:
        for condition, block in blocks:
            for category, metric, value in _values(block):
                yield {**run, "condition": condition, "category": category, "metric": metric, "value": value}
    except (KeyError, TypeError, AttributeError) as error:
        form = '{"categories": {name: {metric: {"mean", "std"}}}, "mean": {metric: {"mean", "std"}}}'
        raise InputError(f"{file} does not have the form {form}") from error


def _values(block: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    for category, metrics in [*block["categories"].items(), (MEAN, block["mean"])]:
        for metric, spread in metrics.items():
            value = spread["mean"]
            yield category, metric, math.nan if value is None else float(value)


def _check_alike(folders: Sequence[Path]) -> None:
    """Check that runs of one variant, ``<factor>/<variant>/seed-<seed>``, differ in the seed only.

    Runs without a record are not checked.

    Raises:
        InputError: naming the two runs and the parameters that differ.
    """
    first: dict[Path, tuple[Path, dict[str, Any]]] = {}
    for folder in folders:
        if not (folder / RECORD).is_file():
            continue
        own = _without_seed(read_json(folder / RECORD))
        other, expected = first.setdefault(folder.parent, (folder, own))
        if differing := [name for name in own | expected if own.get(name) != expected.get(name)]:
            raise InputError(
                f"{other} and {folder.name} differ in {', '.join(differing)}, so they are no seeds of one variant; "
                "repeat the sweep with all seeds, or give each its own folder"
            )


def _without_seed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter in training and in evaluation, and the version of the code."""
    training = record.get("after") or {}
    stages = [training.get("parameters", {}), record.get("parameters", {})]
    names = {name: None for stage in stages for name in stage if name not in _OF_A_SEED}
    return {**{name: [stage.get(name) for stage in stages] for name in names}, "code": record.get("code")}

"""Robustness of a network: its metrics against disturbances of the prompt, including a defective prompt."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from metauas.errors import InputError, check_choice
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.evaluation import evaluate
from metauas.eval.interface import PromptedNetwork, check_evaluation_mode
from metauas.eval.prompts.conditions import Condition, blurred, brightened, scaled, shifted, turned, turned_prompt
from metauas.eval.prompts.selection import check_defects, draw_defective
from metauas.eval.prompts.strategies import create_strategy
from metauas.eval.segmentation import network_method, segment_queries
from metauas.eval.settings import EvalSettings
from metauas.metrics import METRICS, compute_metrics
from metauas.progress import tqdm

DEFECTIVE = "defective"
UNTOUCHED = turned_prompt(0.0)


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """A disturbance of prompts with levels of strength.

    Attributes:
        unit: of the levels.
        levels: those measured by default.
        bounds: lowest and highest allowed level.
        change: maps prompts (B, 3, H, W) in [0, 1] and a level to changed prompts; None if another image replaces them.
        untouched: the level without a change.
    """

    unit: str
    levels: tuple[float, ...]
    bounds: tuple[float, float]
    change: Callable[[Tensor, float], Tensor] | None
    untouched: float = 0.0


#: Disturbances by name.
DISTURBANCES: dict[str, Disturbance] = {
    "rotation": Disturbance(
        unit="degrees",
        levels=(0.0, 5.0, 10.0, 20.0, 30.0, 45.0),
        bounds=(-180.0, 180.0),
        change=lambda prompts, level: turned(prompts, degrees=level),
    ),
    "shift": Disturbance(
        unit="share of the side",
        levels=(0.0, 0.025, 0.05, 0.1, 0.15, 0.2),
        bounds=(-0.9, 0.9),
        change=lambda prompts, level: shifted(prompts, share=level),
    ),
    "scale": Disturbance(
        unit="factor",
        levels=(0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4),
        bounds=(0.1, 10.0),
        change=lambda prompts, level: scaled(prompts, factor=level),
        untouched=1.0,
    ),
    "blur": Disturbance(
        unit="sigma in pixels of 256",
        levels=(0.0, 0.5, 1.0, 2.0, 3.0, 4.0),
        bounds=(0.0, 64.0),
        change=lambda prompts, level: blurred(prompts, sigma=level * prompts.shape[-1] / 256),
    ),
    "brightness": Disturbance(
        unit="added to [0, 1]",
        levels=(-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3),
        bounds=(-1.0, 1.0),
        change=lambda prompts, level: brightened(prompts, added=level),
    ),
    DEFECTIVE: Disturbance(unit="0 normal, 1 defective", levels=(0.0, 1.0), bounds=(0.0, 1.0), change=None),
}


@dataclass(frozen=True)
class Robustness:
    """Results of ``measure_robustness``.

    Attributes:
        values: one row per number: disturbance, level, metric, category, seed, value; NaN if undefined.
        settings: those of the evaluation.
    """

    values: pd.DataFrame
    settings: EvalSettings

    def summary(self) -> pd.DataFrame:
        """Return mean and sample deviation over seeds of the mean over categories, levels in ascending order.

        One row per disturbance, level and metric; columns disturbance, unit, untouched (whether the level is that of
        the unchanged prompt), level, metric, mean, std.
        """
        means = self.values.groupby(["disturbance", "level", "metric", "seed"], sort=False)["value"].mean()
        cells = means.groupby(["disturbance", "level", "metric"], sort=False).agg(["mean", "std"]).reset_index()
        about = [DISTURBANCES[name] for name in cells["disturbance"]]
        cells.insert(1, "unit", [one.unit for one in about])
        cells.insert(2, "untouched", cells["level"] == [one.untouched for one in about])
        return cells

    def metrics(self) -> dict[str, Any]:
        """Return the content of ``metrics.json``: unit, levels and lists of metrics of each disturbance."""
        blocks = {str(name): _block(rows) for name, rows in self.summary().groupby("disturbance", sort=False)}
        return {"disturbances": blocks, "settings": self.settings.model_dump()}


def _block(rows: pd.DataFrame) -> dict[str, Any]:
    wide = rows.pivot_table(index="level", columns="metric", values=["mean", "std"], dropna=False)
    curves = {metric: {part: wide[part, metric].tolist() for part in ("mean", "std")} for metric in METRICS}
    untouched = float(rows.loc[rows["untouched"], "level"].iloc[0])
    return {"unit": rows["unit"].iloc[0], "untouched": untouched, "levels": wide.index.tolist(), "metrics": curves}


def measure_robustness(
    model: PromptedNetwork,
    benchmark: Benchmark,
    settings: EvalSettings,
    *,
    disturbances: Sequence[str] | Mapping[str, Sequence[float]] = tuple(DISTURBANCES),
) -> Robustness:
    """Measure all metrics of a network at each level of the disturbances of its prompts; queries stay unchanged.

    For ``defective``, a defective test image of the category, drawn by the seed, replaces the first image of the
    prompt. This image is left out as a query at both levels, so that no image is compared with itself; the normal level
    thus differs slightly from the unchanged levels of other disturbances.

    Args:
        model: the network, in evaluation mode.
        benchmark: categories with normal images, test images and masks.
        settings: prompts, seeds, size and batch size; its rotations are not used.
        disturbances: names in ``DISTURBANCES``, or levels by name; the untouched level is always measured.

    Raises:
        InputError: a name or level is wrong, the network is in training mode, the prompts do not fit, or a category
            has fewer than two defective images for ``defective``; all before any segmentation.
    """
    check_evaluation_mode(model)
    wanted = check_disturbances(disturbances)
    if DEFECTIVE in wanted:
        for category in benchmark.categories:
            check_defects(category, who=DEFECTIVE)
    changed = {name: levels for name, levels in wanted.items() if name != DEFECTIVE}
    tables = [_changed_prompts(model, benchmark, settings, changed)] if changed else []
    if DEFECTIVE in wanted:
        tables.append(pd.DataFrame(_defective_prompts(model, benchmark, settings)))
    return Robustness(pd.concat(tables, ignore_index=True), settings)


def check_disturbances(wanted: Sequence[str] | Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return the levels by name, in ascending order, including the untouched one.

    Raises:
        InputError: there is no name, a name is unknown, or a level is out of bounds.
    """
    if not wanted:
        raise InputError(f"there is no disturbance to measure; give some of {', '.join(DISTURBANCES)}")
    found: dict[str, list[float]] = {}
    for name in wanted:
        known = DISTURBANCES[check_choice(name="disturbance", value=name, choices=DISTURBANCES)]
        levels = wanted[name] if isinstance(wanted, Mapping) else known.levels
        low, high = known.bounds
        for level in levels:
            if not low <= level <= high:  # false for NaN
                raise InputError(f"{name}={level}: give levels from {low:g} to {high:g} ({known.unit})")
            if name == DEFECTIVE and level not in known.levels:
                raise InputError(f"{name}={level}: a prompt is normal (0) or defective (1), nothing between")
        found[name] = sorted({known.untouched, *map(float, levels)})
    return found


def _changed_prompts(
    model: PromptedNetwork, benchmark: Benchmark, settings: EvalSettings, wanted: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """Evaluate the unchanged prompts once for all disturbances, then all changed ones."""
    conditions = {(name, level): _condition(name, level) for name, levels in wanted.items() for level in levels}
    distinct = {condition.name: condition for condition in (UNTOUCHED, *conditions.values())}
    values = evaluate(model, benchmark, settings, baselines=False, conditions=[*distinct.values()]).values
    places = [(*place, condition.name) for place, condition in conditions.items()]
    table = pd.DataFrame(places, columns=["disturbance", "level", "condition"])
    columns = ["disturbance", "level", "metric", "category", "seed", "value"]
    return table.merge(values, on="condition", how="left")[columns]


def _condition(name: str, level: float) -> Condition:
    change = DISTURBANCES[name].change
    if change is None or level == DISTURBANCES[name].untouched:
        return UNTOUCHED
    return Condition(f"{name} {level!r}", lambda images, _: change(images, level))


def _defective_prompts(
    model: PromptedNetwork, benchmark: Benchmark, settings: EvalSettings
) -> Iterator[dict[str, Any]]:
    strategy = create_strategy(settings, benchmark, embed=lambda images: model.embed(images))
    method, batch_size = network_method(model), settings.queries_at_once
    segment = partial(segment_queries, method, condition=UNTOUCHED, batch_size=batch_size)
    runs = list(product(benchmark.categories, strategy.seeds))
    for category, seed in tqdm(runs, desc="defective prompts", unit="run"):
        queries = Queries(category, size=settings.size)
        normal = strategy.choose(queries, seed=seed)
        drawn = draw_defective(category, seed=seed)
        defective = [(category.test[drawn].path, *prompt[1:]) for prompt in normal]
        rest = np.arange(len(queries)) != drawn
        for level, prompts in enumerate((normal, defective)):
            maps = segment(queries, prompts, seed=seed)
            place = {"disturbance": DEFECTIVE, "level": float(level)}
            for metric, value in compute_metrics(maps[rest], queries.masks[rest], queries.labels[rest]).items():
                yield {**place, "metric": metric, "category": category.name, "seed": seed, "value": value}

"""The evaluation: every method on every category, prompt and condition, as one long table."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from metauas.errors import InputError
from metauas.eval.baselines import BASELINES
from metauas.eval.benchmarks.layouts import Benchmark, Category
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.network import PromptedNetwork, check_evaluation_mode
from metauas.eval.prompts.conditions import Condition, check_conditions, turned_prompt
from metauas.eval.prompts.selection import right_class_share
from metauas.eval.prompts.strategies import create_strategy
from metauas.eval.results import EXACT, OFFICIAL, Evaluation
from metauas.eval.segmentation import Method, baseline_method, network_method, prompt_reader, segment_queries
from metauas.eval.settings import EvalSettings
from metauas.eval.validation import extra_metrics, maps_threshold, validation_queries
from metauas.metrics import METRICS, SEG_F1, compute_metrics, compute_metrics_official, segmentation_f1
from metauas.progress import tqdm

#: Called with a category, a prompt seed and the network's maps (N, H, W), such as ``MapWriter``.
TakeMaps = Callable[[Category, int, np.ndarray], None]


def evaluate(
    model: PromptedNetwork,
    benchmark: Benchmark,
    settings: EvalSettings,
    *,
    variants: Sequence[PromptedNetwork] = (),
    baselines: bool = True,
    official: bool = False,
    conditions: Sequence[Condition] | None = None,
    on_maps: TakeMaps | None = None,
) -> Evaluation:
    """Evaluate a network, variants of it and baselines on the same prompts.

    For several prompts of a query, MetaUAS averages the aligned features, a baseline its maps. Except for rounding in
    the network, results do not depend on the batch size or the order of images.

    For a benchmark whose paper uses further metrics (``Source.metrics``), these are given, too. The threshold of SegF1
    is calibrated for each method and seed on the category's validation images; SegF1 is NaN, with a warning, if they
    are too few, or if prompts are chosen for test images alone (``defective``, prompt files).

    Args:
        model: the network, in evaluation mode.
        benchmark: categories with normal images, test images and masks.
        settings: prompts, seeds, size and rotations.
        variants: further networks with labels of their own, such as ``MetaUASPlus``, under the main condition; their
            prompts are chosen by ``model``.
        baselines: also evaluate ``BASELINES``, under the main condition.
        official: also compute the metrics of the author's script (``compute_metrics_official``).
        conditions: conditions of prompts, the main one first; by default the rotations of the settings.
        on_maps: called with the network's maps under the main condition, once for each category and seed.

    Raises:
        InputError: a network is in training mode, a prompt file or the number of shots does not fit, or two conditions
            or methods share a name (all before any segmentation); or an image cannot be read.
    """
    for network in (model, *variants):
        check_evaluation_mode(network)
    wanted = check_conditions([*map(turned_prompt, settings.rotations)] if conditions is None else conditions)
    strategy = create_strategy(settings, benchmark, embed=lambda images: model.embed(images))
    runs = _runs(model, wanted, variants=variants, baselines=baselines)
    rows: list[dict[str, Any]] = []
    shares: list[float] = []
    extra = extra_metrics(benchmark)
    images = sum(len(category.test) for category in benchmark.categories)
    with tqdm(total=images * len(runs) * len(strategy.seeds), desc="evaluating", unit="map") as bar:
        for category in benchmark.categories:
            queries = Queries(category, size=settings.size)
            validation = validation_queries(category, settings) if SEG_F1 in extra else None
            bar.set_postfix_str(category.name)
            for seed in strategy.seeds:
                prompts = strategy.choose(queries, seed=seed)
                normal_prompts = strategy.choose(validation, seed=seed) if validation else []
                shares.append(right_class_share(prompts, category))
                for run in runs:
                    read = prompt_reader(run.condition, category=category.name, seed=seed, size=settings.size)
                    segment = partial(segment_queries, run.method, read=read, batch_size=settings.queries_at_once)
                    maps = segment(queries, prompts)
                    threshold = maps_threshold(segment(validation, normal_prompts)) if validation else math.nan
                    found = _metrics(queries, maps, extra=extra, threshold=threshold, official=official)
                    rows += _rows(run, category.name, found, seed=seed)
                    if run is runs[0] and on_maps:
                        on_maps(category, seed, maps)
                    bar.update(len(maps))
    return Evaluation(pd.DataFrame(rows), settings, right_class=sum(shares) / len(shares))


@dataclass(frozen=True)
class _Run:
    method: Method
    condition: Condition


def _runs(
    model: PromptedNetwork, conditions: Sequence[Condition], *, variants: Sequence[PromptedNetwork], baselines: bool
) -> list[_Run]:
    """Return the runs of each category: the network under all conditions, other methods under the first.

    Raises:
        InputError: two methods share a name, by which tables distinguish them.
    """
    ours = network_method(model)
    others = [network_method(variant) for variant in variants]
    others += [baseline_method(name, compare) for name, compare in BASELINES.items()] if baselines else []
    names = [method.name for method in (ours, *others)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two methods are called {twice[0]!r}; give each network a label of its own")
    main, *changed = conditions
    return [*(_Run(method, main) for method in (ours, *others)), *(_Run(ours, condition) for condition in changed)]


def _metrics(
    queries: Queries, maps: Float32[np.ndarray, "n h w"], *, extra: Sequence[str], threshold: float, official: bool
) -> dict[str, dict[str, float]]:
    """Return the metrics of a category by definition; ``threshold`` is that of SegF1, NaN without one."""
    known = compute_metrics(maps, queries.masks, queries.labels, extras=bool(extra))
    if SEG_F1 in extra:
        known[SEG_F1] = math.nan
        if not math.isnan(threshold):
            known[SEG_F1] = segmentation_f1(maps, queries.masks, queries.labels, threshold=threshold)
    found = {EXACT: {name: known[name] for name in (*METRICS, *extra)}}
    if official:
        found[OFFICIAL] = compute_metrics_official(maps, queries.official_masks, queries.labels)
    return found


def _rows(run: _Run, category: str, found: Mapping[str, Mapping[str, float]], *, seed: int) -> Iterator[dict[str, Any]]:
    place = {"method": run.method.name, "condition": run.condition.name, "category": category, "seed": seed}
    for definition, metrics in found.items():
        for metric, value in metrics.items():
            yield {**place, "definition": definition, "metric": metric, "value": value}

"""The evaluation: every method on every category, prompt and condition, as one long table."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from metauas.errors import InputError
from metauas.eval.baselines import BASELINES
from metauas.eval.benchmarks.catalogue import CATALOGUE
from metauas.eval.benchmarks.layouts import Benchmark, Category
from metauas.eval.benchmarks.layouts.samples import as_test_images
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.images.calibration import check_enough, conformal_threshold
from metauas.eval.interface import PromptedNetwork, check_evaluation_mode
from metauas.eval.prompts.conditions import Condition, check_conditions, turned_prompt
from metauas.eval.prompts.selection import Prompt, right_class_share
from metauas.eval.prompts.strategies import create_strategy
from metauas.eval.results import EXACT, OFFICIAL, Evaluation
from metauas.eval.segmentation import Method, baseline_method, network_method, segment_queries
from metauas.eval.settings import EvalSettings
from metauas.metrics import METRICS, SEG_F1, compute_metrics, compute_metrics_official, segmentation_f1
from metauas.progress import tqdm

#: Share of normal images that may have a pixel above the threshold: the lowest that MVTec AD 2's 19 images allow.
FALSE_POSITIVE_RATE = 0.05
#: Prompts that exist for any image of a category, not only for its test images.
PROMPTS_OF_ANY_IMAGE = ("random", "nearest", "pool")
_log = logging.getLogger("metauas")

#: Called with the queries of a category, their prompts, the prompt seed and the network's maps (N, H, W).
TakeMaps = Callable[[Queries, Sequence[Prompt], int, np.ndarray], None]


def evaluate(
    model: PromptedNetwork,
    benchmark: Benchmark,
    settings: EvalSettings,
    *,
    variants: Sequence[PromptedNetwork] = (),
    baselines: bool = True,
    official: bool = False,
    conditions: Sequence[Condition] | None = None,
    on_maps: Sequence[TakeMaps] = (),
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
        on_maps: each is called with the network's maps under the main condition, once for each category and seed, such
            as ``MapGatherer``.

    Raises:
        InputError: a network is in training mode, a prompt file or the number of shots does not fit, or two conditions
            or methods share a name (all before any segmentation); or an image cannot be read.
    """
    for network in (model, *variants):
        check_evaluation_mode(network)
    takers = tuple(on_maps)
    wanted = check_conditions([*map(turned_prompt, settings.rotations)] if conditions is None else conditions)
    strategy = create_strategy(settings, benchmark, embed=lambda images: model.embed(images))
    runs = _runs(model, wanted, variants=variants, baselines=baselines)
    rows: list[dict[str, Any]] = []
    shares: list[float] = []
    source = CATALOGUE.get(benchmark.layout)
    extra = source.metrics if source else ()
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
                batch_size = settings.queries_at_once
                for number, (method, condition) in enumerate(runs):
                    segment = partial(segment_queries, method, condition=condition, seed=seed, batch_size=batch_size)
                    maps = segment(queries, prompts)
                    threshold = maps_threshold(segment(validation, normal_prompts)) if validation else math.nan
                    found = _metrics(queries, maps, extra=extra, threshold=threshold, official=official)
                    place = {"method": method.name, "condition": condition.name, "category": category.name}
                    rows += _rows(found, **place, seed=seed)
                    for take in takers if number == 0 else ():
                        take(queries, prompts, seed, maps)
                    bar.update(len(maps))
    return Evaluation(pd.DataFrame(rows), settings, right_class=sum(shares) / len(shares))


def _runs(
    model: PromptedNetwork, conditions: Sequence[Condition], *, variants: Sequence[PromptedNetwork], baselines: bool
) -> list[tuple[Method, Condition]]:
    """Return the runs of each category: the network under all conditions, other methods under the first."""
    ours = network_method(model)
    others = [network_method(variant) for variant in variants]
    others += [baseline_method(name, compare) for name, compare in BASELINES.items()] if baselines else []
    names = [method.name for method in (ours, *others)]
    # tables distinguish methods by their names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two methods are called {twice[0]!r}; give each network a label of its own")
    main, *changed = conditions
    return [*((method, main) for method in (ours, *others)), *((ours, condition) for condition in changed)]


def _metrics(
    queries: Queries, maps: Float32[np.ndarray, "n h w"], *, extra: Sequence[str], threshold: float, official: bool
) -> dict[str, dict[str, float]]:
    """Return the metrics of a category by definition; ``threshold`` is that of SegF1, NaN without one."""
    known = compute_metrics(maps, queries.masks, queries.labels, extras=bool(extra))
    if SEG_F1 in extra:
        known[SEG_F1] = segmentation_f1(maps, queries.masks, queries.labels, threshold=threshold)
    found = {EXACT: {name: known[name] for name in (*METRICS, *extra)}}
    if official:
        found[OFFICIAL] = compute_metrics_official(maps, queries.official_masks, queries.labels)
    return found


def _rows(found: Mapping[str, Mapping[str, float]], **place: str | int) -> Iterator[dict[str, Any]]:
    for definition, metrics in found.items():
        for metric, value in metrics.items():
            yield {**place, "definition": definition, "metric": metric, "value": value}


def check_validation(category: Category, settings: EvalSettings) -> None:
    """Raise InputError if a category has too few validation images, or prompts are chosen for test images alone."""
    if settings.prompt not in PROMPTS_OF_ANY_IMAGE:
        known = ", ".join(PROMPTS_OF_ANY_IMAGE)
        raise InputError(f"prompt={settings.prompt!r} gives no prompts for validation images; choose one of {known}")
    try:
        check_enough(len(category.validation), FALSE_POSITIVE_RATE)
    except InputError as error:
        raise InputError(f"category {category.name!r}, folder validation: {error}") from error


def validation_queries(category: Category, settings: EvalSettings) -> Queries | None:
    """Return the validation images of a category as queries; None, with a warning, without enough of them."""
    try:
        check_validation(category, settings)
    except InputError as error:
        _log.warning("no SegF1 is computed: %s", error)
        return None
    return Queries(as_test_images(category, category.validation), size=settings.size)


def maps_threshold(maps: Float32[np.ndarray, "n h w"]) -> float:
    """Return the threshold that a new normal image's map exceeds with probability ``FALSE_POSITIVE_RATE`` at most."""
    return conformal_threshold(maps.max(axis=(1, 2)), FALSE_POSITIVE_RATE)

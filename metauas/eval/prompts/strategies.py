"""Prompt strategies: for each category and seed, the prompt of every query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.files import prompts_from_file
from metauas.eval.prompts.selection import (
    NearestPrompts,
    Prompt,
    check_defects,
    check_shots,
    defective_prompts,
    normal_images,
    random_prompts,
)
from metauas.eval.settings import SEED_FIELD, EvalSettings
from metauas.machine import halving_batches


@dataclass(frozen=True)
class Strategy:
    """A way to choose prompts.

    Attributes:
        seeds: the seeds that change the prompts; one if none does.
        prompts: maps queries and a seed to the prompt of each query.
    """

    seeds: tuple[int, ...]
    prompts: Callable[[Queries, int], list[Prompt]]

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        return self.prompts(queries, seed)


def create_strategy(settings: EvalSettings, benchmark: Benchmark, *, embed: Callable[[Tensor], Tensor]) -> Strategy:
    """Return the strategy of the settings, after all checks.

    Args:
        settings: prompt, shots, seeds, size and batch size.
        benchmark: source of normal images.
        embed: maps images (B, 3, H, W) to vectors (B, D), for ``nearest`` and ``pool``.

    Raises:
        InputError: there are too few normal images for the shots, or a prompt file is wrong or does not fit.
    """
    match settings.prompt:
        case "random":
            return _random(settings, benchmark)
        case "nearest" | "pool":
            return _nearest(settings, benchmark, embed)
        case "defective":
            return _defective(settings, benchmark)
        case _:
            return _of_files(settings, benchmark)


def _random(settings: EvalSettings, benchmark: Benchmark) -> Strategy:
    """Choose random normal images by the seed, the same for all queries of a category."""
    for category in benchmark.categories:
        check_shots(settings.shots, available=len(category.train_good), where=f"category {category.name!r}")

    def prompts(queries: Queries, seed: int) -> list[Prompt]:
        return [random_prompts(queries.category, seed=seed, shots=settings.shots)] * len(queries)

    return Strategy(settings.seeds, prompts)


def _nearest(settings: EvalSettings, benchmark: Benchmark, embed: Callable[[Tensor], Tensor]) -> Strategy:
    """Choose the normal images most similar to each query, of its category (``nearest``) or of all (``pool``).

    Images are embedded on first use; with a pool size, once for each seed.
    """
    shots, size, batch_size = settings.shots, settings.size, settings.queries_at_once
    whole = settings.prompt == "pool"
    seeds = settings.seeds if settings.pool_size else settings.seeds[:1]

    def pool(seed: int) -> dict[str, Sequence[Path]]:
        count = settings.pool_size
        return {category.name: normal_images(category, seed=seed, count=count) for category in benchmark.categories}

    @cache
    def embedded(seed: int) -> NearestPrompts:
        return NearestPrompts(embed, pool(seed), size=size, batch_size=batch_size)

    def prompts(queries: Queries, seed: int) -> list[Prompt]:
        nearest = embedded(seed if settings.pool_size else seeds[0])
        own = None if whole else queries.category.name

        def select(length: int) -> list[Prompt]:
            batches = queries.batches(length)
            return [prompt for batch in batches for prompt in nearest.select(batch, category=own, shots=shots)]

        return halving_batches(select, batch_size=batch_size, size=size)

    sizes = {f"category {name!r}": len(images) for name, images in pool(seeds[0]).items()}  # the same for every seed
    for where, available in ({"the pool": sum(sizes.values())} if whole else sizes).items():
        check_shots(shots, available=available, where=where)
    return Strategy(seeds, prompts)


def _defective(settings: EvalSettings, benchmark: Benchmark) -> Strategy:
    """Choose one defective test image by the seed for all other queries of a category.

    Such a prompt breaks the assumption that prompts are normal.
    """
    if settings.shots > 1:
        raise InputError(f"shots={settings.shots}: a defective prompt is one image; give shots=1")
    for category in benchmark.categories:
        check_defects(category, who="prompt='defective'")
    return Strategy(settings.seeds, lambda queries, seed: defective_prompts(queries.category, seed=seed))


def _of_files(settings: EvalSettings, benchmark: Benchmark) -> Strategy:
    """Choose the prompts of a prompt file, or of one file per seed if its name contains ``{seed}``."""
    seeds = settings.seeds if SEED_FIELD in settings.prompt else settings.seeds[:1]
    paths = {seed: settings.prompt.replace(SEED_FIELD, str(seed)) for seed in seeds}
    found = {seed: prompts_from_file(path, benchmark, shots=settings.shots) for seed, path in paths.items()}
    return Strategy(seeds, lambda queries, seed: found[seed][queries.category.name])

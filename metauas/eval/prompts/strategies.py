"""Prompt strategies: for each category and seed, the prompt of every query."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.files import prompts_from_file, read_prompt_file
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


@runtime_checkable
class Strategy(Protocol):
    """A way to choose prompts.

    Attributes:
        seeds: the seeds that change the prompts; one if none does.
    """

    seeds: tuple[int, ...]

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        ...


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
            return RandomStrategy(settings, benchmark)
        case "nearest" | "pool":
            return NearestStrategy(settings, benchmark, embed=embed)
        case "defective":
            return DefectiveStrategy(settings, benchmark)
        case _:
            return FileStrategy(settings, benchmark)


class RandomStrategy:
    """Random normal images by the seed, the same for all queries of a category."""

    def __init__(self, settings: EvalSettings, benchmark: Benchmark) -> None:
        for category in benchmark.categories:
            check_shots(settings.shots, available=len(category.train_good), where=f"category {category.name!r}")
        self.seeds = settings.seeds
        self._shots = settings.shots

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        return [random_prompts(queries.category, seed=seed, shots=self._shots)] * len(queries)


class NearestStrategy:
    """The normal images most similar to each query, of its category (``nearest``) or of all (``pool``).

    Images are embedded on first use; with a pool size, once for each seed.
    """

    def __init__(self, settings: EvalSettings, benchmark: Benchmark, *, embed: Callable[[Tensor], Tensor]) -> None:
        self._settings, self._embed, self._benchmark = settings, embed, benchmark
        self._whole = settings.prompt == "pool"
        self.seeds = settings.seeds if settings.pool_size else settings.seeds[:1]
        sizes = {name: len(images) for name, images in self._pool(self.seeds[0]).items()}  # the same for every seed
        if self._whole:
            check_shots(settings.shots, available=sum(sizes.values()), where="the pool")
        else:
            for name, size in sizes.items():
                check_shots(settings.shots, available=size, where=f"category {name!r}")
        self._nearest: dict[int, NearestPrompts] = {}

    def _pool(self, seed: int) -> dict[str, Sequence[Path]]:
        size, categories = self._settings.pool_size, self._benchmark.categories
        return {category.name: normal_images(category, seed=seed, count=size) for category in categories}

    def _nearest_of(self, seed: int) -> NearestPrompts:
        key = seed if self._settings.pool_size else self.seeds[0]
        if key not in self._nearest:
            options = {"size": self._settings.size, "batch_size": self._settings.queries_at_once}
            self._nearest[key] = NearestPrompts(self._embed, self._pool(key), **options)
        return self._nearest[key]

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        nearest = self._nearest_of(seed)
        own = None if self._whole else queries.category.name
        shots = self._settings.shots

        def select(batch_size: int) -> list[Prompt]:
            batches = queries.batches(batch_size)
            return [prompt for batch in batches for prompt in nearest.select(batch, category=own, shots=shots)]

        return halving_batches(select, batch_size=self._settings.queries_at_once, size=self._settings.size)


class DefectiveStrategy:
    """One defective test image by the seed for all queries of a category, a prompt that breaks the assumption."""

    def __init__(self, settings: EvalSettings, benchmark: Benchmark) -> None:
        if settings.shots > 1:
            raise InputError(f"shots={settings.shots}: a defective prompt is one image; give shots=1")
        for category in benchmark.categories:
            check_defects(category, who="prompt='defective'")
        self.seeds = settings.seeds

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order; none is its own."""
        return defective_prompts(queries.category, seed=seed)


class FileStrategy:
    """Prompts of a prompt file, or of one file per seed if its name contains ``{seed}``."""

    def __init__(self, settings: EvalSettings, benchmark: Benchmark) -> None:
        self.seeds = settings.seeds if SEED_FIELD in settings.prompt else settings.seeds[:1]
        paths = {seed: Path(settings.prompt.replace(SEED_FIELD, str(seed))) for seed in self.seeds}
        self._prompts = {
            seed: prompts_from_file(read_prompt_file(path), benchmark, shots=settings.shots)
            for seed, path in paths.items()
        }

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        return self._prompts[seed][queries.category.name]

"""Prompt strategies: for each category and seed, the prompt of every query."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from metauas.eval.layouts import Benchmark
from metauas.eval.prompt_files import prompts_from_file, read_prompt_file
from metauas.eval.prompts import NearestPrompts, Prompt, check_shots, random_prompts
from metauas.eval.queries import Queries
from metauas.eval.settings import SEED_FIELD, EvalSettings


@runtime_checkable
class Strategy(Protocol):
    """A way to choose prompts.

    Attributes:
        seeds: those that make a difference; one if none does.
    """

    seeds: tuple[int, ...]

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        ...


def create_strategy(settings: EvalSettings, benchmark: Benchmark, *, embed: Callable[[Tensor], Tensor]) -> Strategy:
    """Return the strategy that the settings ask for, with all that it needs checked.

    Args:
        settings: prompt, shots, seeds, size and batch size.
        benchmark: where normal images come from.
        embed: images (B, 3, H, W) to vectors (B, D), for ``nearest`` and ``pool``.

    Raises:
        InputError: too few normal images for the shots, or a prompt file that is wrong or does not fit.
    """
    match settings.prompt:
        case "random":
            return RandomStrategy(settings, benchmark)
        case "nearest" | "pool":
            return NearestStrategy(settings, benchmark, embed=embed)
        case _:
            return FileStrategy(settings, benchmark)


class RandomStrategy:
    """The same random normal images for all queries of a category; the seed decides."""

    def __init__(self, settings: EvalSettings, benchmark: Benchmark) -> None:
        _check_categories(settings, benchmark)
        self.seeds = settings.seeds
        self._shots = settings.shots

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        return [random_prompts(queries.category, seed=seed, shots=self._shots)] * len(queries)


class NearestStrategy:
    """The normal images most similar to each query, of its category (``nearest``) or of all (``pool``)."""

    def __init__(self, settings: EvalSettings, benchmark: Benchmark, *, embed: Callable[[Tensor], Tensor]) -> None:
        pool = {category.name: category.train_good for category in benchmark.categories}
        self._whole = settings.prompt == "pool"
        if self._whole:
            check_shots(settings.shots, available=sum(map(len, pool.values())), where="the pool")
        else:
            _check_categories(settings, benchmark)
        self.seeds = settings.seeds[:1]
        self._settings = settings
        self._nearest = NearestPrompts(embed, pool, size=settings.size, batch_size=settings.batch_size)

    def choose(self, queries: Queries, *, seed: int) -> list[Prompt]:
        """Return the prompt of each query, in their order."""
        own = None if self._whole else queries.category.name
        batches = queries.batches(self._settings.batch_size)
        shots = self._settings.shots
        return [prompt for batch in batches for prompt in self._nearest.select(batch, category=own, shots=shots)]


class FileStrategy:
    """What a prompt file says, or one file a seed if its name has ``{seed}`` in it."""

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


def _check_categories(settings: EvalSettings, benchmark: Benchmark) -> None:
    for category in benchmark.categories:
        check_shots(settings.shots, available=len(category.train_good), where=f"category {category.name!r}")

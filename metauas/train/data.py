"""The pairs of a run, in an order that the seed determines, and each process's share of every step."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch.utils.data import Dataset, Subset

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis import (
    ChangePair,
    PairBatch,
    PairDataset,
    Variation,
    build_synthesizer,
    open_pairs,
    pair_loader,
    read_recipe,
)
from metauas.train.settings import TrainSettings

#: Settings of pairs that are made on the fly.
MAKING = ("recipe", "sizes")

_BLOCK = 32  # neighbouring written pairs that stay together in every epoch, because they are stored together


@runtime_checkable
class TrainingPairs(Protocol):
    """Pairs by number."""

    def __len__(self) -> int:
        """Return the number of pairs."""

    def __getitem__(self, index: int, /) -> ChangePair:
        """Return a pair."""


def training_pairs(settings: TrainSettings, *, split: str = "train") -> TrainingPairs:
    """Return the pairs of all steps of a run, or its held-out pairs.

    Raises:
        InputError: the recipe or the written pairs are missing or do not fit the settings.
    """
    if settings.pairs is not None:
        return _written_pairs(settings, split=split)
    held_out = split == "validation"
    length = settings.validation.pairs if held_out else settings.steps * settings.batch_size
    sizes = (settings.size,) if held_out or settings.sizes is None else settings.sizes
    of_each_size = [
        PairDataset(
            build_synthesizer(read_recipe(settings.recipe, size=size), split=split),
            length=length,
            seed=settings.seed,
            split=split,
            distinct=None if held_out else settings.distinct_pairs,
        )
        for size in sizes
    ]
    return SizesInTurn(of_each_size, batch_size=settings.batch_size) if len(of_each_size) > 1 else of_each_size[0]


class SizesInTurn(Dataset[ChangePair]):
    """Pairs of several sizes: all ``batch_size`` pairs of a step have one size, and each step takes the next size."""

    def __init__(self, of_each_size: Sequence[TrainingPairs], *, batch_size: int) -> None:
        self.of_each_size, self.batch_size = of_each_size, batch_size

    def __len__(self) -> int:
        return len(self.of_each_size[0])

    def __getitem__(self, index: int) -> ChangePair:
        step = index // self.batch_size
        return self.of_each_size[step % len(self.of_each_size)][index]


def _written_pairs(settings: TrainSettings, *, split: str) -> TrainingPairs:
    idle = [name for name in MAKING if getattr(settings, name) is not None]
    if idle:
        raise InputError(f"{idle[0]} has no effect on the written pairs={settings.pairs!r}; leave out one of the two")
    written: Any = open_pairs(  # torch's Dataset has no length
        str(settings.pairs), split=split, size=settings.size, seed=settings.seed, variation=Variation()
    )
    side = written[0].query.shape[-1]
    if side != settings.size:
        raise InputError(
            f"the pairs in {settings.pairs} have {side} pixels a side; set size={side}, not {settings.size}"
        )
    name, wanted = "distinct_pairs", settings.distinct_pairs
    if split == "validation":
        name, wanted = "validation.pairs", settings.validation.pairs
    if (wanted or 0) > len(written):
        raise InputError(f"{settings.pairs} holds {len(written)} pairs of {split}; set {name} to at most that")
    chosen = Subset(written, range(wanted or len(written)))
    if split == "validation":
        return chosen
    return RepeatedPairs(chosen, length=settings.steps * settings.batch_size, seed=settings.seed)


class RepeatedPairs(Dataset[ChangePair]):
    """Written pairs, repeated in a new order in every epoch. Blocks of neighbours stay together for fast reading.

    Args:
        pairs: the pairs of one epoch.
        length: number of pairs of all epochs; the last epoch may be shorter.
        seed: the order is a function of (seed, epoch).
    """

    def __init__(self, pairs: TrainingPairs, *, length: int, seed: int) -> None:
        self.pairs, self.length, self.seed = pairs, length, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> ChangePair:
        if not 0 <= index < self.length:
            raise IndexError(f"pair {index} of {self.length}")
        epoch, place = divmod(index, len(self.pairs))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._draw_order(epoch)
        return self.pairs[int(self._order[place])]

    def _draw_order(self, epoch: int) -> np.ndarray:
        rng = rng_for(self.seed, "epoch", epoch)
        starts = rng.permutation(np.arange(0, len(self.pairs), _BLOCK))
        blocks = (np.arange(start, min(start + _BLOCK, len(self.pairs))) for start in starts)
        return np.concatenate([rng.permutation(block) for block in blocks])


class ShareOfSteps(Dataset[ChangePair]):
    """One process's pairs of every step: the shares of all processes are disjoint and make up the step.

    Args:
        pairs: the pairs of all steps.
        batch_size: pairs of a step, over all processes.
        start: first step.
        process: index of the process.
        processes: number of processes.
    """

    def __init__(self, pairs: TrainingPairs, *, batch_size: int, start: int, process: int, processes: int) -> None:
        self.pairs, self.batch_size = pairs, batch_size
        self.share = batch_size // processes
        self.first = start * batch_size + process * self.share
        self.steps = len(pairs) // batch_size - start

    def __len__(self) -> int:
        return self.steps * self.share

    def __getitem__(self, index: int) -> ChangePair:
        step, place = divmod(index, self.share)
        return self.pairs[self.first + step * self.batch_size + place]


def step_batches(
    pairs: TrainingPairs, settings: TrainSettings, *, start: int, process: int, processes: int
) -> Iterator[tuple[PairBatch, ...]]:
    """Yield one process's share of each step from ``start`` on, in ``execution.accumulate`` parts."""
    size, how = settings.batch_size, settings.execution
    own = ShareOfSteps(pairs, batch_size=size, start=start, process=process, processes=processes)
    loader = pair_loader(own, batch_size=own.share // how.accumulate, workers=how.workers)
    yield from zip(*[iter(loader)] * how.accumulate, strict=True)

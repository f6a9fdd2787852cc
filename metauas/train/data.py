"""The pairs of a run, in an order that is a function of the seed, and each process's share of every step."""

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
    PairSynthesizer,
    Variation,
    build_synthesizer,
    open_pairs,
    pair_loader,
    read_recipe,
)
from metauas.train.settings import TrainSettings

#: Settings that say how pairs are made on the fly.
MAKING = ("photographs", "recipe", "sizes", "kinds", "rotation", "shift")

_BLOCK = 32  # written pairs that stay together when their order is drawn anew, as they are stored together


@runtime_checkable
class TrainingPairs(Protocol):
    """Pairs by number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> ChangePair:
        """Return one of them."""


def training_pairs(settings: TrainSettings, *, split: str = "train") -> TrainingPairs:
    """Return the pairs of a run: enough for all steps, or its held-out ones.

    Raises:
        InputError: photographs, recipe or written pairs are missing or do not fit the settings.
    """
    if settings.pairs is not None:
        return _written_pairs(settings, split=split)
    if split == "validation":
        synthesize = _synthesizer(settings, split=split, size=settings.size)
        return PairDataset(synthesize, length=settings.validation_pairs, seed=settings.seed, split=split)
    length = settings.steps * settings.batch_size
    of_each_size = [
        PairDataset(
            _synthesizer(settings, split=split, size=size),
            length=length,
            seed=settings.seed,
            split=split,
            distinct=settings.distinct_pairs,
        )
        for size in settings.sizes or (settings.size,)
    ]
    return SizesInTurn(of_each_size, batch_size=settings.batch_size) if len(of_each_size) > 1 else of_each_size[0]


class SizesInTurn(Dataset[ChangePair]):
    """Pairs of several sizes: all pairs of a step have one size, and each step takes the next one in turn.

    Args:
        of_each_size: as many pairs of each size; of one number only one is drawn.
        batch_size: pairs of a step.
    """

    def __init__(self, of_each_size: Sequence[TrainingPairs], *, batch_size: int) -> None:
        self.of_each_size, self.batch_size = of_each_size, batch_size

    def __len__(self) -> int:
        return len(self.of_each_size[0])

    def __getitem__(self, index: int) -> ChangePair:
        step = index // self.batch_size
        return self.of_each_size[step % len(self.of_each_size)][index]


def _synthesizer(settings: TrainSettings, *, split: str, size: int) -> PairSynthesizer:
    chosen = {"rotation": settings.rotation, "shift": settings.shift}
    recipe = read_recipe(
        settings.recipe,
        size=size,
        photographs=settings.photographs,
        kinds=settings.kinds,
        variation={name: value for name, value in chosen.items() if value is not None},
    )
    return build_synthesizer(recipe, split=split)


def _written_pairs(settings: TrainSettings, *, split: str) -> TrainingPairs:
    idle = [name for name in MAKING if getattr(settings, name) is not None]
    if idle:
        raise InputError(f"{idle[0]} says how pairs are made, but pairs={settings.pairs!r} are made; leave it out")
    written: Any = open_pairs(  # torch's Dataset has no length
        str(settings.pairs), split=split, size=settings.size, seed=settings.seed, variation=Variation()
    )
    side = written[0].query.shape[-1]
    if side != settings.size:
        raise InputError(
            f"the pairs in {settings.pairs} have {side} pixels a side; set size={side}, not {settings.size}"
        )
    name = "distinct_pairs" if split == "train" else "validation_pairs"
    wanted = getattr(settings, name) or len(written)
    if wanted > len(written):
        raise InputError(f"{settings.pairs} holds {len(written)} pairs of {split}; set {name} to at most that")
    chosen = Subset(written, range(wanted))
    if split == "validation":
        return chosen
    return RepeatedPairs(chosen, length=settings.steps * settings.batch_size, seed=settings.seed)


class RepeatedPairs(Dataset[ChangePair]):
    """Written pairs epoch after epoch, each in an order of its own; none comes twice in an epoch.

    Blocks of neighbours stay together, so that reading remains quick.

    Args:
        pairs: those of one epoch.
        length: number of pairs in all; the last epoch may be cut short.
        seed: of the order, a function of (seed, epoch).
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
    """What one process takes of every step: the shares of all processes together are the step's pairs, none twice.

    Args:
        pairs: those of all steps.
        batch_size: pairs of a step, over all processes.
        start: first step.
        process: which of the processes this is.
        processes: how many there are.
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
    """Yield the parts, ``settings.accumulate`` of them, of one process's share of each step from ``start`` on."""
    size = settings.batch_size
    own = ShareOfSteps(pairs, batch_size=size, start=start, process=process, processes=processes)
    loader = pair_loader(own, batch_size=own.share // settings.accumulate, workers=settings.workers)
    yield from zip(*[iter(loader)] * settings.accumulate, strict=True)

"""Pairs as a torch dataset: the same pairs whatever the number of workers."""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from metauas.errors import check_choice
from metauas.seeding import rng_for
from metauas.synthesis.pairs import ChangePair

SPLITS = ("train", "validation")


class PairDataset(Dataset[ChangePair]):
    """``length`` pairs; number ``index`` depends on (seed, split, index) alone.

    Args:
        synthesize: makes a pair from a generator, for example a ``PairSynthesizer``.
        length: number of pairs.
        seed: seed of all pairs.
        split: ``train`` or ``validation``; the same index gives different pairs in each.
        distinct: number of different pairs, repeated in the same order; None makes all different.
    """

    def __init__(
        self,
        synthesize: Callable[[np.random.Generator], ChangePair],
        *,
        length: int,
        seed: int,
        split: str = "train",
        distinct: int | None = None,
    ) -> None:
        self.synthesize = synthesize
        self.length = length
        self.distinct = distinct or length
        self.seed = seed
        self.split = check_choice(name="split", value=split, choices=SPLITS)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> ChangePair:
        if not 0 <= index < self.length:
            raise IndexError(f"pair {index} of {self.length}")
        return self.synthesize(rng_for(self.seed, self.split, index % self.distinct))


@dataclass(frozen=True)
class PairBatch:
    """Stacked pairs: query and prompt (B, 3, H, W), mask (B, 1, H, W), kinds a tuple of B names."""

    query: torch.Tensor
    prompt: torch.Tensor
    mask: torch.Tensor
    kinds: tuple[str, ...]

    def to(self, device: torch.device | str) -> "PairBatch":
        """Move the tensors to a device."""
        return PairBatch(self.query.to(device), self.prompt.to(device), self.mask.to(device), self.kinds)


def collate(pairs: list[ChangePair]) -> PairBatch:
    """Stack pairs of one size."""
    return PairBatch(
        query=torch.stack([pair.query for pair in pairs]),
        prompt=torch.stack([pair.prompt for pair in pairs]),
        mask=torch.stack([pair.mask for pair in pairs]),
        kinds=tuple(pair.kind for pair in pairs),
    )


def pair_loader(dataset: Dataset[ChangePair], *, batch_size: int, workers: int = 0) -> "DataLoader[ChangePair]":
    """Return a loader of ``PairBatch`` in the dataset's order; the pairs do not depend on ``workers``."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        multiprocessing_context=_start_method() if workers > 0 else None,
    )


def _start_method() -> str:
    """Return how workers start: from a server without threads or, on Windows, which has none, as new interpreters."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _one_thread(worker: int) -> None:
    """Give each worker one thread, as they share the cores with training."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)

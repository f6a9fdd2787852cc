"""Held-out pairs: the metrics and the maps of a network on them, and which network is kept."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from metauas.files import atomic_path
from metauas.metrics import StreamingMetrics
from metauas.model import MetaUAS
from metauas.synthesis import ChangePair, PairBatch
from metauas.train.data import TrainingPairs, training_pairs
from metauas.train.settings import TrainSettings

SHOWN_METRICS = ("P-AUROC", "P-AP", "I-AUROC")
MAPS_NAME = "maps"
MAP_FILES = f"{MAPS_NAME}/step-*.npy"
_JUDGED_BY = "P-AP"  # of all kinds of change together

#: A row of the learning curves.
Row = Mapping[str, Any]


@dataclass
class Tally:
    """The counts of a validation, in memory that does not grow with the pixels; tallies can be merged.

    Attributes:
        losses: mean binary cross-entropy of each pair.
        kinds: the scores of the pairs of each kind of change.
    """

    losses: list[float] = field(default_factory=list)
    kinds: dict[str, StreamingMetrics] = field(default_factory=dict)

    def update(self, logits: Tensor, batch: PairBatch) -> None:
        """Add the logits (B, 1, H, W) of a batch."""
        losses = F.binary_cross_entropy_with_logits(logits, batch.mask, reduction="none").mean(dim=(1, 2, 3))
        self.losses += losses.tolist()
        maps, truth = logits.sigmoid()[:, 0].numpy(), batch.mask[:, 0].numpy() > 0
        for kind, values, mask in zip(batch.kinds, maps, truth, strict=True):
            self.kinds.setdefault(kind, StreamingMetrics()).update(values, mask, bool(mask.any()))

    def result(self) -> dict[str, Any]:
        """Return the loss and P-AUROC, P-AP and I-AUROC over all pairs, and P-AP of each kind of change."""
        overall = StreamingMetrics.merged(list(self.kinds.values())).result()
        by_kind = {f"P-AP {kind}": scores.result()["P-AP"] for kind, scores in sorted(self.kinds.items())}
        defined = {name: value for name, value in by_kind.items() if not math.isnan(value)}
        loss = math.fsum(self.losses) / len(self.losses)  # exact, so that the order of the pairs does not matter
        return {"validation loss": loss, **{name: overall[name] for name in SHOWN_METRICS}, **defined}


def merge_tallies(tallies: Sequence[Tally]) -> Tally:
    """Merge the tallies of several processes, in any order."""
    names = {name for tally in tallies for name in tally.kinds}
    parts = {name: [tally.kinds[name] for tally in tallies if name in tally.kinds] for name in names}
    return Tally(
        losses=[loss for tally in tallies for loss in tally.losses],
        kinds={name: StreamingMetrics.merged(scores) for name, scores in parts.items()},
    )


@torch.no_grad()
def count(model: MetaUAS, batches: Iterable[PairBatch], *, device: torch.device | str = "cpu") -> Tally:
    """Segment all pairs and return their tally; the model's mode is restored afterwards."""
    was_training = model.training
    model.eval()
    tally = Tally()
    for batch in batches:
        moved = batch.to(device)
        tally.update(model.logits(moved.query, moved.prompt).float().cpu(), batch)
    model.train(was_training)
    return tally


def validate(model: MetaUAS, batches: Iterable[PairBatch], *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return the loss and P-AUROC, P-AP and I-AUROC over all pairs, and P-AP of each kind of change.

    The model's mode is restored afterwards.
    """
    return count(model, batches, device=device).result()


def validated_rows(history: Sequence[Row]) -> list[Row]:
    """Return the rows that hold a validation."""
    return [row for row in history if "validation loss" in row]


def kept_row(history: Sequence[Row], *, keep: str) -> Row | None:
    """Return the validation whose network is kept: the ``last``, or the ``best``, the first with the highest P-AP.

    Where no P-AP is defined, the last is the best. None without a validation.
    """
    rows = validated_rows(history)
    defined = [row for row in rows if not math.isnan(row[_JUDGED_BY])]
    if keep == "best" and defined:
        return max(defined, key=lambda row: row[_JUDGED_BY])
    return rows[-1] if rows else None


def is_exhausted(history: Sequence[Row], *, patience: int | None) -> bool:
    """Whether the last ``patience`` validations were no better than the best before them."""
    rows = validated_rows(history)
    best = kept_row(rows, keep="best")
    return patience is not None and best is not None and len(rows) - 1 - rows.index(best) >= patience


@dataclass(frozen=True)
class PairExample:
    """One segmented pair: images (3, H, W), mask and map (H, W)."""

    title: str
    query: Float[Tensor, "3 h w"]
    prompt: Float[Tensor, "3 h w"]
    mask: Bool[np.ndarray, "h w"]
    map: Float[np.ndarray, "h w"]


def held_out_examples(model: MetaUAS, settings: TrainSettings, *, count: int) -> list[PairExample]:
    """Segment the first ``count`` held-out pairs of a run that have a change."""
    pairs = changed_pairs(training_pairs(settings, split="validation"), count=count)
    return [
        PairExample(
            title=pair.kind,
            query=pair.query,
            prompt=pair.prompt,
            mask=pair.mask[0].numpy() > 0,
            map=maps_of(model, [pair])[0],
        )
        for pair in pairs
    ]


def changed_pairs(pairs: TrainingPairs, *, count: int) -> list[ChangePair]:
    """Return the first ``count`` pairs that have a change, or as many as there are."""
    return list(islice((pair for pair in map(pairs.__getitem__, range(len(pairs))) if pair.mask.any()), count))


def maps_of(model: MetaUAS, pairs: list[ChangePair]) -> Float[np.ndarray, "n h w"]:
    """Segment pairs of one size in evaluation mode; the model's mode is restored afterwards."""
    was_training = model.training
    model.eval()
    maps = model.segment(torch.stack([p.query for p in pairs]), torch.stack([p.prompt for p in pairs]))
    model.train(was_training)
    return maps[:, 0].float().cpu().numpy()


def write_maps(out: str | Path, maps: Float[np.ndarray, "n h w"], *, step: int) -> None:
    """Write the maps of a validation."""
    with atomic_path(Path(out) / MAPS_NAME / f"step-{step:08}.npy") as temporary:
        np.save(temporary, maps.astype(np.float16))


def read_maps(out: str | Path) -> dict[int, Float[np.ndarray, "n h w"]]:
    """Return the maps of the first held-out pairs with a change, by step of the validation."""
    files = sorted(Path(out).glob(MAP_FILES))
    return {int(file.stem.removeprefix("step-")): np.load(file).astype(np.float32) for file in files}

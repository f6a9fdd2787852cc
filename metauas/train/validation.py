"""Metrics of a network on held-out pairs, over all and for each kind of change."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

from metauas.metrics import StreamingMetrics
from metauas.model import MetaUAS
from metauas.synthesis import PairBatch

SHOWN_METRICS = ("P-AUROC", "P-AP", "I-AUROC")


@dataclass
class Tally:
    """The counts of a validation, in memory that does not grow with the pixels; tallies can be merged.

    Attributes:
        losses: mean binary cross-entropy of each pair.
        kinds: the scores of the pairs of each kind of change.
    """

    losses: list[float] = field(default_factory=list)
    kinds: dict[str, StreamingMetrics] = field(default_factory=dict)

    def update(self, logits: torch.Tensor, batch: PairBatch) -> None:
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

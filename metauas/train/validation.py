"""How good the network is on held-out pairs, in all and for each kind of change."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metauas.metrics import compute_metrics
from metauas.model import MetaUAS
from metauas.synthesis import PairBatch

SHOWN_METRICS = ("P-AUROC", "P-AP", "I-AUROC")


@torch.no_grad()
def validate(model: MetaUAS, batches: Iterable[PairBatch], *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return the loss and P-AUROC, P-AP and I-AUROC over all pairs, and P-AP of each kind of change.

    The model's mode is restored afterwards.
    """
    was_training = model.training
    model.eval()
    logits: list[Tensor] = []
    masks: list[Tensor] = []
    kinds: list[str] = []
    for batch in batches:
        moved = batch.to(device)
        logits.append(model.logits(moved.query, moved.prompt).float().cpu())
        masks.append(batch.mask)
        kinds += batch.kinds
    model.train(was_training)
    return _summary(torch.cat(logits), torch.cat(masks), np.array(kinds))


def _summary(logits: Tensor, masks: Tensor, kinds: np.ndarray) -> dict[str, Any]:
    loss = F.binary_cross_entropy_with_logits(logits, masks).item()
    maps, truth = logits.sigmoid()[:, 0].numpy(), masks[:, 0].numpy() > 0
    labels = np.asarray(truth.any(axis=(1, 2)))
    overall = compute_metrics(maps, truth, labels)
    by_kind = {}
    for kind in sorted({str(k) for k, label in zip(kinds, labels, strict=True) if label}):
        chosen = kinds == kind
        by_kind[f"P-AP {kind}"] = compute_metrics(maps[chosen], truth[chosen], labels[chosen])["P-AP"]
    return {"validation loss": loss, **{name: overall[name] for name in SHOWN_METRICS}, **by_kind}

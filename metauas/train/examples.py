"""Held-out pairs with the map that a trained network gives them."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from metauas.model import MetaUAS
from metauas.train.data import training_pairs
from metauas.train.settings import TrainSettings


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
    pairs = training_pairs(settings, split="validation")
    changed = (pair for pair in map(pairs.__getitem__, range(len(pairs))) if pair.mask.any())
    return [
        PairExample(
            title=pair.kind,
            query=pair.query,
            prompt=pair.prompt,
            mask=pair.mask[0].numpy() > 0,
            map=model.segment(pair.query[None], pair.prompt[None])[0, 0].cpu().numpy(),
        )
        for pair in islice(changed, count)
    ]

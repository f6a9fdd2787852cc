"""Held-out pairs and their anomaly maps, during training and after it."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metauas.files import atomic_path
from metauas.model import MetaUAS
from metauas.synthesis import ChangePair
from metauas.train.data import TrainingPairs, training_pairs
from metauas.train.settings import TrainSettings

MAPS_NAME = "maps"
_PATTERN = "step-*.npy"


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
    return np.asarray(maps[:, 0].float().cpu().numpy())


def write_maps(out: str | Path, maps: Float[np.ndarray, "n h w"], *, step: int) -> None:
    """Write the maps of a validation."""
    with atomic_path(Path(out) / MAPS_NAME / f"step-{step:08}.npy") as temporary:
        np.save(temporary, maps.astype(np.float16))


def read_maps(out: str | Path) -> dict[int, Float[np.ndarray, "n h w"]]:
    """Return the maps of the first held-out pairs with a change, by step of the validation."""
    files = sorted((Path(out) / MAPS_NAME).glob(_PATTERN))
    return {int(file.stem.removeprefix("step-")): np.load(file).astype(np.float32) for file in files}


def remove_maps(out: str | Path) -> None:
    """Remove the maps of an earlier run."""
    for file in (Path(out) / MAPS_NAME).glob(_PATTERN):
        file.unlink()

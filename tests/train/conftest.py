import numpy as np
import pytest
import torch

from metauas.synthesis import ChangePair, PairDataset
from metauas.train import TrainSettings
from metauas.train.settings import Validation

#: A network whose runs take half the time of ``lite``.
SMALL = {"preset": "lite", "encoder": "test_efficientnet", "encoder_weights": "random"}
#: Pairs that a new process makes at once; photographs take seconds to be cut up.
DRAWN = {"pictures": {"drawn_scenes": 1.0}, "textures": {"drawn_textures": 1.0}}


@pytest.fixture(scope="session")
def tiny():
    """Settings of a run of a second; its state is saved after steps 4, 8 and 10."""
    validation = Validation(pairs=6, every=4)
    return TrainSettings(
        size=32, steps=10, batch_size=4, validation=validation, seed=3, network=dict(SMALL), recipe=dict(DRAWN)
    )


def bright_square(rng: np.random.Generator) -> ChangePair:
    """A change that is easy to learn: a bright square on dark noise."""
    prompt = torch.from_numpy(rng.uniform(0, 0.3, (3, 32, 32)).astype(np.float32))
    query, mask = prompt.clone(), torch.zeros(1, 32, 32)
    top, left = (int(corner) for corner in rng.integers(0, 20, 2))
    query[:, top : top + 12, left : left + 12] = 1
    mask[:, top : top + 12, left : left + 12] = 1
    return ChangePair(query=query, prompt=prompt, mask=mask, kind="local", source="square")


@pytest.fixture
def easy_task(monkeypatch):
    """Let training see nothing but bright squares."""

    def pairs(settings, *, split="train"):
        length = settings.validation.pairs if split == "validation" else settings.steps * settings.batch_size
        return PairDataset(bright_square, length=length, seed=settings.seed, split=split)

    monkeypatch.setattr("metauas.train.loop.training_pairs", pairs)

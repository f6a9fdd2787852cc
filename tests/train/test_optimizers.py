import pytest
import torch
from torch import nn

from metauas.train import TrainSettings, train
from metauas.train.optimizers import new_optimizer


def first_step(settings, shape):
    """How a weight moves in the first step of a rate of 1 without decay, its gradient being much alike all over."""
    settings = settings.model_copy(update={"learning_rate": 1.0, "weight_decay": 0.0})
    weight = nn.Parameter(torch.zeros(shape))
    weight.grad = 3 + torch.randn(shape, generator=torch.Generator().manual_seed(0))
    new_optimizer([weight], settings).step()
    return weight.detach()


def spread(matrix):
    values = torch.linalg.svdvals(matrix)
    return float(values.max() / values.min())


@pytest.mark.parametrize("shape", [(24, 16), (16, 24, 3, 3)], ids=["linear", "convolution"])
def test_muon_moves_a_matrix_equally_far_in_all_directions(shape):
    muon, adamw = (first_step(TrainSettings(optimizer=name), shape).flatten(1) for name in ("muon", "adamw"))
    assert spread(muon) < 2 < 5 < spread(adamw)
    largest = max(muon.shape)
    expected = 0.2 * largest**0.5 * min(muon.shape) ** 0.5  # of an orthogonal matrix scaled by 0.2 sqrt(largest side)
    assert float(muon.norm()) == pytest.approx(expected, rel=0.2)


def test_muon_leaves_biases_to_adamw():
    muon, adamw = (first_step(TrainSettings(optimizer=name), (16,)) for name in ("muon", "adamw"))
    ratio = muon / adamw  # Nesterov's momentum makes the first step another one, yet the same for all
    torch.testing.assert_close(ratio, ratio.mean().expand(16))
    assert 0 < float(ratio[0]) < 2


def test_the_default_is_the_papers():
    assert TrainSettings().optimizer == "adamw"
    assert type(new_optimizer([nn.Parameter(torch.zeros(2))], TrainSettings())) is torch.optim.AdamW


def test_a_network_learns_with_muon(easy_task, tmp_path):
    settings = TrainSettings(size=32, steps=60, batch_size=8, validation_pairs=8, validate_every=30, optimizer="muon")
    history = train(settings, out=tmp_path).history
    assert history["loss"].iloc[-1] < 0.5 * history["loss"].iloc[0]
    assert history["P-AP"].iloc[-1] > 0.9

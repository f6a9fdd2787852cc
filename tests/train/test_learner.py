import math

import pytest
import torch
from torch.nn import functional as F

from metauas.model import create_model
from metauas.train import TrainSettings
from metauas.train.loss import ChangeLoss, image_loss
from metauas.train.schedule import learning_rate


def two_maps():
    """Logits of -4, but for a row of the first image, half of which is changed; a thousandth of 4096 are four."""
    logits, mask = torch.full((2, 1, 64, 64), -4.0), torch.zeros(2, 1, 64, 64)
    logits[0, 0, 3, :8] = torch.tensor([3.0, 2.0, 1.0, 0.0, -1.0, 9.0, 9.0, 9.0])
    mask[0, 0, 3, :5] = 1
    return logits.requires_grad_(), mask


def test_an_image_is_scored_by_its_largest_logits_and_a_changed_one_where_it_is_changed():
    logits, mask = two_maps()
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(-4.0))) / 2
    assert image_loss(logits, mask).item() == pytest.approx(expected, rel=1e-6)
    image_loss(logits, mask).backward()
    assert (logits.grad[0] != 0).nonzero()[:, 1:].tolist() == [[3, column] for column in range(4)]
    assert logits.grad[0].sum() < 0 < logits.grad[1].sum(), "up where there is a change, down where there is none"


def test_a_change_of_few_pixels_is_scored_by_these():
    logits, mask = two_maps()
    mask[0] = 0
    mask[0, 0, 3, 1:3] = 1
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(-4.0))) / 2
    loss = image_loss(logits, mask)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[0] != 0).sum() == 2


def test_a_small_image_has_a_score_as_well():
    logits, mask = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    logits[0, 0, 2, 2] = 5.0
    assert image_loss(logits, mask).item() == pytest.approx(math.log1p(math.exp(5.0)), rel=1e-6)


def test_the_loss_of_images_counts_by_its_weight():
    torch.manual_seed(0)
    model = create_model("lite").eval()
    query, prompt, mask = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    mask[0, 0, :9] = 1
    with torch.no_grad():
        pixels, both = (ChangeLoss(model, image_weight=weight)(query, prompt, mask) for weight in (0.0, 0.5))
        logits = model.logits(query, prompt)
    torch.testing.assert_close(pixels, F.binary_cross_entropy_with_logits(logits, mask))
    torch.testing.assert_close(both - pixels, 0.5 * image_loss(logits, mask))


def test_one_cycle_warms_up_and_ends_near_zero():
    settings = TrainSettings(steps=100, learning_rate=0.5)
    rates = [learning_rate(settings, step) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == 0.5
    assert peak in (14, 15)
    assert rates[:15] == sorted(rates[:15])
    assert rates[15:] == sorted(rates[15:], reverse=True)
    assert rates[0] < 0.2 * max(rates)
    assert rates[-1] < 0.001 * max(rates)


def test_a_constant_learning_rate():
    settings = TrainSettings(steps=10, learning_rate=0.5, schedule="constant")
    assert {learning_rate(settings, step) for step in range(10)} == {0.5}

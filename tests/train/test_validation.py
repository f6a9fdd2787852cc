import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from metauas.metrics import compute_metrics
from metauas.model import create_model
from metauas.synthesis import pair_loader
from metauas.train import training_pairs, validate
from metauas.train.settings import Validation
from metauas.train.validation import is_exhausted, kept_row


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("lite").eval()


@pytest.fixture(scope="module")
def batches(tiny):
    settings = tiny.model_copy(update={"validation": Validation(pairs=20)})
    return list(pair_loader(training_pairs(settings, split="validation"), batch_size=8))


def test_the_numbers_are_those_of_all_pairs(model, batches):
    query, prompt, mask = (torch.cat([getattr(b, side) for b in batches]) for side in ("query", "prompt", "mask"))
    with torch.no_grad():
        logits = model.logits(query, prompt)
    truth = mask[:, 0].numpy() > 0
    labels = truth.any(axis=(1, 2))
    expected = compute_metrics(logits.sigmoid()[:, 0].numpy(), truth, labels)
    found = validate(model, batches)
    assert found["validation loss"] == pytest.approx(F.binary_cross_entropy_with_logits(logits, mask).item(), abs=1e-6)
    for name in ("P-AUROC", "P-AP", "I-AUROC"):
        assert found[name] == pytest.approx(expected[name], abs=1e-3, nan_ok=True)


def test_each_kind_of_change_is_judged_alone(model, batches):
    found = validate(model, batches)
    kinds = {kind for batch in batches for kind in batch.kinds}
    assert {name.removeprefix("P-AP ") for name in found if name.startswith("P-AP ")} == kinds - {"unchanged"}
    chosen = [(b, i) for b in batches for i, kind in enumerate(b.kinds) if kind == "local"]
    query, prompt, mask = (torch.stack([getattr(b, s)[i] for b, i in chosen]) for s in ("query", "prompt", "mask"))
    maps, truth = model.segment(query, prompt)[:, 0].numpy(), mask[:, 0].numpy() > 0
    expected = compute_metrics(maps, truth, np.ones(len(maps), dtype=bool))["P-AP"]
    assert found["P-AP local"] == pytest.approx(expected, abs=1e-3)


def test_a_perfect_network_is_perfect(monkeypatch, model, batches):
    masks = iter([batch.mask for batch in batches])
    monkeypatch.setattr(model, "logits", lambda query, prompt: 40 * next(masks) - 20)
    found = validate(model, batches)
    assert found.pop("validation loss") < 1e-6
    assert all(value == 1 for value in found.values() if not np.isnan(value))
    assert found["P-AP"] == 1


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(batches, training):
    model = create_model("lite").train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    validate(model, batches)
    assert model.training is training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


# --- the network that is kept


def curve(*values):
    """A history with a row of the training loss before each validation."""
    rows = []
    for step, value in enumerate(values, start=1):
        rows += [{"step": 2 * step - 1, "loss": 1.0}]
        rows += [{"step": 2 * step, "loss": 1.0, "validation loss": 1.0, "P-AP": value}]
    return rows


@pytest.mark.parametrize(
    ("values", "best"),
    [((0.1, 0.5, 0.3), 4), ((0.5, 0.5), 2), ((math.nan, 0.1, math.nan), 4), ((math.nan, math.nan), 4)],
)
def test_the_best_is_the_first_with_the_highest_precision(values, best):
    assert kept_row(curve(*values), keep="best")["step"] == best
    assert kept_row(curve(*values), keep="last")["step"] == 2 * len(values)


def test_without_a_validation_there_is_nothing_to_keep():
    rows = [{"step": 1, "loss": 1.0}]
    assert kept_row(rows, keep="best") is kept_row(rows, keep="last") is None
    assert not is_exhausted(rows, patience=1)


@pytest.mark.parametrize(
    ("values", "patience", "ends"),
    [
        ((0.1, 0.2, 0.3), 1, False),
        ((0.3, 0.2), 1, True),
        ((0.3, 0.2), 2, False),
        ((0.3, 0.2, 0.3), 2, True),
        ((0.3, 0.2, 0.4, 0.1), 2, False),
        ((0.3, 0.2, 0.1, 0.0), None, False),
    ],
)
def test_a_run_ends_when_nothing_gets_better(values, patience, ends):
    assert is_exhausted(curve(*values), patience=patience) is ends

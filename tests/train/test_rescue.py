import math

import pytest
import torch

from metauas.errors import InputError
from metauas.model.weights.checkpoint import read_tensors
from metauas.synthesis import PairBatch
from metauas.train import train
from metauas.train.rescue import batch_name, rescued

BATCH_NAME = "failed-batch.safetensors"


def batch(kind):
    return PairBatch(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), torch.zeros(2, 1, 8, 8), (kind, kind))


def test_the_pairs_on_which_the_loss_became_no_number_are_kept(tmp_path):
    parts = [batch("local"), batch("exchange")]
    with (
        pytest.raises(FloatingPointError, match=r"lower learning_rate; the pairs of this step are in .*failed-batch"),
        rescued(parts, file=tmp_path / BATCH_NAME, step=6),
    ):
        raise FloatingPointError("the loss is nan at step 7; lower learning_rate")
    header, tensors = read_tensors(tmp_path / BATCH_NAME)
    assert header == {"step": 7, "kinds": ["local", "local", "exchange", "exchange"]}
    assert torch.equal(tensors["query"], torch.cat([part.query for part in parts]))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_says_what_to_lower(tmp_path, error):
    message = r"out of memory at step 1 \(.*\); lower batch_size, or size"
    with pytest.raises(InputError, match=message), rescued([batch("local")], file=tmp_path / BATCH_NAME, step=0):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_each_of_several_processes_keeps_its_own_share():
    names = [batch_name(process=i, processes=n) for i, n in ((0, 1), (0, 8), (7, 8))]
    assert names == [BATCH_NAME, "failed-batch-0.safetensors", "failed-batch-7.safetensors"]


def test_other_errors_stay_as_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), rescued([batch("local")], file=tmp_path / BATCH_NAME, step=0):
        raise RuntimeError("shapes differ")


def test_a_run_that_diverges_keeps_its_batch(tiny, tmp_path):
    wild = tiny.model_copy(update={"learning_rate": 1e30, "schedule": "constant"})
    with pytest.raises(FloatingPointError, match=r"the loss is .* at step \d+; lower learning_rate; the pairs"):
        train(wild, out=tmp_path)
    _, tensors = read_tensors(tmp_path / BATCH_NAME)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "query": (4, 3, 32, 32),
        "prompt": (4, 3, 32, 32),
        "mask": (4, 1, 32, 32),
    }
    assert all(math.isfinite(tensor.sum()) for tensor in tensors.values())

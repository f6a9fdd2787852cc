import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from metauas.errors import InputError
from metauas.files.contents import contents_of
from metauas.model.weights.tensor_files import read_tensors
from metauas.synthesis import PairBatch
from metauas.train import train
from metauas.train.learner import Learner
from metauas.train.settings import Execution
from metauas.train.state import STATE_NAME, Progress, batch_name, load_progress, rescued, save_state

BATCH_NAME = "failed-batch.safetensors"


class Small(Learner):
    """A small network and its optimiser after some steps, in the place of a run's."""

    accelerator = SimpleNamespace(scaler=None)

    def __init__(self, settings, *, steps=0, seed=0):
        torch.manual_seed(seed)
        self.settings, self.average = settings, None
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        for _ in range(steps):
            self.learn(torch.randn(2, 3, 5, 5))

    def learn(self, images):
        self.optimizer.zero_grad()
        self.model(images).square().mean().backward()
        self.optimizer.step()


def save(folder, steps, settings, history=()):
    learner = Small(settings, steps=steps)
    progress = Progress(step=steps, history=list(history), contents=contents_of(settings.model_dump()))
    save_state(folder, learner, progress)
    return learner


def test_without_a_state_a_run_starts_at_the_beginning(tmp_path, tiny):
    learner = Small(tiny)
    before = [p.clone() for p in learner.model.parameters()]
    assert load_progress(tmp_path, learner) == Progress(step=0, history=[])
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))


def test_what_is_saved_is_loaded(tmp_path, tiny):
    history = [{"step": 3, "loss": 0.1 + 0.2}, {"step": 5, "loss": 1e-7, "P-AP": 0.5}]
    learner, other = save(tmp_path, 5, tiny, history), Small(tiny, steps=2, seed=1)
    assert load_progress(tmp_path, other) == Progress(step=5, history=history)
    expected, found = learner.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    expected, found = learner.optimizer.state_dict()["state"], other.optimizer.state_dict()["state"]
    assert expected.keys() == found.keys()
    for index, slots in expected.items():
        assert slots.keys() == found[index].keys()
        assert all(torch.equal(value, found[index][slot]) for slot, value in slots.items())


def test_training_goes_on_as_if_nothing_had_happened(tmp_path, tiny):
    learner, other = save(tmp_path, 5, tiny), Small(tiny, seed=1)
    load_progress(tmp_path, other)
    images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for one in (learner, other):
        one.learn(images)
    assert all(torch.equal(a, b) for a, b in zip(learner.model.parameters(), other.model.parameters(), strict=True))


def test_metrics_that_are_not_defined_survive(tmp_path, tiny):
    save(tmp_path, 1, tiny, [{"step": 1, "I-AUROC": math.nan}])
    progress = load_progress(tmp_path, Small(tiny))
    assert math.isnan(progress.history[0]["I-AUROC"])


def test_other_settings_are_refused_by_name(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    other = tiny.model_copy(update={"learning_rate": 0.1, "recipe": {"kinds": ["local"]}})
    with pytest.raises(InputError) as caught:
        load_progress(tmp_path, Small(other))
    message = str(caught.value)
    assert f"learning_rate was {tiny.learning_rate} and is 0.1" in message
    assert "recipe.kinds was None and is ['local']" in message
    assert "resume=False" in message
    assert "steps" not in message


def test_a_recipe_that_was_changed_since_is_refused(tmp_path, tiny):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("preset: items")
    named = tiny.model_copy(update={"recipe": str(recipe)})
    save(tmp_path, 1, named)
    assert load_progress(tmp_path, Small(named)).step == 1
    recipe.write_text("preset: draem")
    with pytest.raises(InputError, match=r"whose recipe, .*mine\.yaml, was changed since; restore the file"):
        load_progress(tmp_path, Small(named))


def test_workers_may_change(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    more = tiny.model_copy(update={"execution": Execution(workers=4)})
    assert load_progress(tmp_path, Small(more)).step == 1


def test_another_network_is_refused(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    other = Small(tiny)
    other.model = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match=rf"{STATE_NAME} does not fit this network: unexpected: 1\.bias"):
        load_progress(tmp_path, other)


def test_a_damaged_state_is_named(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    path = tmp_path / STATE_NAME
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"{STATE_NAME} cannot be read as safetensors"):
        load_progress(tmp_path, Small(tiny))


def test_a_failing_save_leaves_the_old_state(monkeypatch, tmp_path, tiny):
    save(tmp_path, 1, tiny)

    def half_a_file(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half_a_file)
    with pytest.raises(OSError, match="no space left"):
        save(tmp_path, 2, tiny)
    assert [path.name for path in tmp_path.iterdir()] == [STATE_NAME]
    assert load_progress(tmp_path, Small(tiny)).step == 1


# --- a step that failed


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

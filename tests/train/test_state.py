import math
from pathlib import Path

import pytest
import torch
from torch import nn

from metauas.errors import InputError
from metauas.files.contents import contents_of
from metauas.train.settings import Execution
from metauas.train.state import STATE_NAME, Progress, load_progress, save_state


def trained(steps, *, seed=0):
    """A small network and its optimiser after some steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 5, 5)).square().mean().backward()
        optimizer.step()
    return model, optimizer


def save(folder, steps, settings, history=()):
    model, optimizer = trained(steps)
    progress = Progress(step=steps, history=list(history), contents=contents_of(settings.model_dump()))
    save_state(folder, model=model, optimizer=optimizer, progress=progress, settings=settings)
    return model, optimizer


def test_without_a_state_a_run_starts_at_the_beginning(tmp_path, tiny):
    model, optimizer = trained(0)
    before = [p.clone() for p in model.parameters()]
    assert load_progress(tmp_path, model=model, optimizer=optimizer, settings=tiny) == Progress(step=0, history=[])
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_what_is_saved_is_loaded(tmp_path, tiny):
    history = [{"step": 3, "loss": 0.1 + 0.2}, {"step": 5, "loss": 1e-7, "P-AP": 0.5}]
    model, optimizer = save(tmp_path, 5, tiny, history)
    other, other_optimizer = trained(2, seed=1)
    progress = load_progress(tmp_path, model=other, optimizer=other_optimizer, settings=tiny)
    assert progress == Progress(step=5, history=history)
    expected, found = model.state_dict(), other.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    expected, found = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert expected.keys() == found.keys()
    for index, slots in expected.items():
        assert slots.keys() == found[index].keys()
        assert all(torch.equal(value, found[index][slot]) for slot, value in slots.items())


def test_training_goes_on_as_if_nothing_had_happened(tmp_path, tiny):
    model, optimizer = save(tmp_path, 5, tiny)
    other, other_optimizer = trained(0, seed=1)
    load_progress(tmp_path, model=other, optimizer=other_optimizer, settings=tiny)
    images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for net, step in ((model, optimizer), (other, other_optimizer)):
        step.zero_grad()
        net(images).square().mean().backward()
        step.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_metrics_that_are_not_defined_survive(tmp_path, tiny):
    save(tmp_path, 1, tiny, [{"step": 1, "I-AUROC": math.nan}])
    model, optimizer = trained(0)
    progress = load_progress(tmp_path, model=model, optimizer=optimizer, settings=tiny)
    assert math.isnan(progress.history[0]["I-AUROC"])


def test_other_settings_are_refused_by_name(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    model, optimizer = trained(0)
    other = tiny.model_copy(update={"learning_rate": 0.1, "recipe": {"kinds": ["local"]}})
    with pytest.raises(InputError) as caught:
        load_progress(tmp_path, model=model, optimizer=optimizer, settings=other)
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
    model, optimizer = trained(0)
    assert load_progress(tmp_path, model=model, optimizer=optimizer, settings=named).step == 1
    recipe.write_text("preset: draem")
    with pytest.raises(InputError, match=r"whose recipe, .*mine\.yaml, was changed since; restore the file"):
        load_progress(tmp_path, model=model, optimizer=optimizer, settings=named)


def test_workers_may_change(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    model, optimizer = trained(0)
    more = tiny.model_copy(update={"execution": Execution(workers=4)})
    assert load_progress(tmp_path, model=model, optimizer=optimizer, settings=more).step == 1


def test_another_network_is_refused(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    other = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match=rf"{STATE_NAME} does not fit this network: unexpected: 1\.bias"):
        load_progress(tmp_path, model=other, optimizer=torch.optim.AdamW(other.parameters()), settings=tiny)


def test_a_damaged_state_is_named(tmp_path, tiny):
    save(tmp_path, 1, tiny)
    path = tmp_path / STATE_NAME
    path.write_bytes(path.read_bytes()[:-10])
    model, optimizer = trained(0)
    with pytest.raises(InputError, match=rf"{STATE_NAME} cannot be read as safetensors"):
        load_progress(tmp_path, model=model, optimizer=optimizer, settings=tiny)


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
    model, optimizer = trained(0)
    assert load_progress(tmp_path, model=model, optimizer=optimizer, settings=tiny).step == 1

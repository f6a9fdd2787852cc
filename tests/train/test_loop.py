import json
import math

import pandas as pd
import pytest
import torch
from accelerate import Accelerator

from metauas.errors import InputError
from metauas.model import create_model, load_checkpoint
from metauas.train import TrainSettings, held_out_examples, loop, train, training_pairs
from metauas.train.state import STATE_NAME


class BrokenOffError(Exception):
    """What a test breaks a run off with."""


def same_weights(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def assert_same(first, second):
    pd.testing.assert_frame_equal(first.history, second.history, check_exact=True)
    assert same_weights(first.model, second.model)


def break_off(monkeypatch, *, at):
    """Let a run fail at the start of step ``at``, counted from 0."""

    def fail(settings, step):
        if step == at:
            raise BrokenOffError
        return original(settings, step)

    original = loop.learning_rate
    monkeypatch.setattr(loop, "learning_rate", fail)


@pytest.fixture(scope="module")
def unbroken(tiny, tmp_path_factory):
    """A complete run in its folder."""
    return train(tiny, out=tmp_path_factory.mktemp("unbroken") / "run")


# --- what a run leaves


def test_the_loss_falls(easy_task, tmp_path):
    settings = TrainSettings(size=32, steps=40, batch_size=8, validation_pairs=8, validate_every=10)
    history = train(settings, out=tmp_path).history
    assert history["loss"].iloc[-1] < 0.5 * history["loss"].iloc[0]
    assert history["validation loss"].iloc[-1] < 0.5 * history["validation loss"].iloc[0]
    assert history["P-AP"].iloc[-1] > 0.9


def test_the_folder_is_complete(tiny, unbroken):
    folder = unbroken.checkpoint.parent
    names = {"checkpoint", "history.csv", "metrics.json", "settings.json", STATE_NAME}
    assert {path.name for path in folder.iterdir()} == names
    written = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert TrainSettings.parse(written, origin="test") == tiny
    history = pd.read_csv(folder / "history.csv")
    pd.testing.assert_frame_equal(history, unbroken.history, check_dtype=False)
    assert history["step"].tolist() == [4, 8, 10]
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics.keys() == set(unbroken.history.columns)
    assert metrics["step"] == tiny.steps
    assert isinstance(metrics["step"], int)
    for name, value in metrics.items():
        last = unbroken.history[name].iloc[-1]
        assert value == (None if math.isnan(last) else last)


def test_the_checkpoint_is_the_network(unbroken):
    assert not unbroken.model.training
    assert same_weights(load_checkpoint(unbroken.checkpoint, preset="nano"), unbroken.model)


def test_the_network_has_learnt_something(tiny, unbroken):
    torch.manual_seed(tiny.seed)
    assert not same_weights(create_model("nano"), unbroken.model)


def test_only_the_steps_in_between_are_logged_without_validation(monkeypatch, tiny, tmp_path):
    settings = tiny.model_copy(update={"steps": 5, "validate_every": 100})
    monkeypatch.setattr(loop, "_LOG_EVERY", 2)
    history = train(settings, out=tmp_path).history
    assert history["step"].tolist() == [2, 4, 5]
    assert history["validation loss"].isna().tolist() == [True, True, False]


def test_examples_are_held_out_pairs_with_a_change(tiny, unbroken):
    examples = held_out_examples(unbroken.model, tiny, count=2)
    pairs = training_pairs(tiny, split="validation")
    queries = [pairs[i].query for i in range(len(pairs)) if pairs[i].mask.any()][:2]
    assert [example.title in ("appearance", "disappearance", "exchange", "local") for example in examples] == [True] * 2
    assert all(torch.equal(example.query, query) for example, query in zip(examples, queries, strict=True))
    assert all(example.mask.any() and example.map.shape == (32, 32) for example in examples)


# --- the same run twice


def test_the_same_seed_gives_the_same_run(tiny, unbroken, tmp_path):
    assert_same(train(tiny, out=tmp_path), unbroken)


def test_another_seed_gives_another_run(tiny, unbroken, tmp_path):
    other = train(tiny.model_copy(update={"seed": tiny.seed + 1}), out=tmp_path)
    assert not same_weights(other.model, unbroken.model)
    assert other.history["loss"].tolist() != unbroken.history["loss"].tolist()


def test_workers_change_nothing(tiny, unbroken, tmp_path):
    assert_same(train(tiny.model_copy(update={"workers": 1}), out=tmp_path), unbroken)


def test_the_state_of_the_callers_generators_changes_nothing(tiny, unbroken, tmp_path):
    torch.manual_seed(12345)
    assert_same(train(tiny, out=tmp_path), unbroken)


# --- broken off and resumed


@pytest.mark.parametrize("at", [2, 4, 6, 9], ids=lambda at: f"at step {at}")
def test_a_broken_run_ends_as_the_unbroken_one(monkeypatch, tiny, unbroken, tmp_path, at):
    with monkeypatch.context() as patch:
        break_off(patch, at=at)
        with pytest.raises(BrokenOffError):
            train(tiny, out=tmp_path)
    assert (tmp_path / STATE_NAME).exists() == (at >= tiny.validate_every)
    assert not (tmp_path / "metrics.json").exists()
    with monkeypatch.context() as patch:
        break_off(patch, at=at // 4 * 4 - 1)  # what was saved is not done again
        resumed = train(tiny, out=tmp_path)
    assert_same(resumed, unbroken)


def test_a_finished_run_is_not_done_again(monkeypatch, tiny, tmp_path):
    first = train(tiny, out=tmp_path)
    monkeypatch.setattr(loop, "learning_rate", lambda settings, step: pytest.fail("takes a step"))
    assert_same(train(tiny, out=tmp_path), first)


def test_without_resuming_a_run_starts_anew(monkeypatch, tiny, unbroken, tmp_path):
    with monkeypatch.context() as patch:
        break_off(patch, at=6)
        with pytest.raises(BrokenOffError):
            train(tiny.model_copy(update={"seed": 99}), out=tmp_path)
    assert_same(train(tiny, out=tmp_path, resume=False), unbroken)


def test_other_settings_in_the_same_folder_are_refused(tiny, unbroken):
    folder = unbroken.checkpoint.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(InputError, match="other settings: fusion was None and is 'concat'; give the same settings"):
        train(tiny.model_copy(update={"fusion": "concat"}), out=folder)
    with pytest.raises(InputError, match="other settings: size was 32 and is 64; give the same settings"):
        train(tiny.model_copy(update={"size": 64}), out=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


# --- what can go wrong


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(monkeypatch, tiny, tmp_path, value):
    calls = []

    def forward(self, query, prompt, mask):
        calls.append(1)
        loss = original(self, query, prompt, mask)
        return loss * value if len(calls) == 7 else loss

    original = loop.ChangeLoss.forward
    monkeypatch.setattr(loop.ChangeLoss, "forward", forward)
    with pytest.raises(FloatingPointError, match=f"the loss is {value} at step 7; lower learning_rate"):
        train(tiny, out=tmp_path)
    assert not (tmp_path / "checkpoint").exists()
    assert not (tmp_path / "metrics.json").exists()


def test_settings_are_checked_before_anything_is_written(tiny, tmp_path):
    with pytest.raises(InputError, match="unknown kind of change 'locl', did you mean 'local'"):
        train(tiny.model_copy(update={"kinds": ("locl",)}), out=tmp_path / "run")
    with pytest.raises(InputError, match="photos does not exist"):
        train(tiny.model_copy(update={"photographs": str(tmp_path / "photos")}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_wrong_settings_do_not_cost_the_state_of_a_run(tiny, tmp_path):
    train(tiny, out=tmp_path)
    with pytest.raises(InputError, match="'locl'"):
        train(tiny.model_copy(update={"kinds": ("locl",)}), out=tmp_path, resume=False)
    assert (tmp_path / STATE_NAME).exists()


# --- devices, precision, schedule


def test_precisions_may_follow_each_other_in_one_process(tiny, unbroken, tmp_path):
    half = train(tiny.model_copy(update={"mixed_precision": "bf16"}), out=tmp_path / "half")
    full = train(tiny, out=tmp_path / "full")
    assert_same(full, unbroken)
    assert not same_weights(half.model, full.model)
    assert half.history["loss"].iloc[-1] == pytest.approx(full.history["loss"].iloc[-1], rel=0.2)


def pretend_processes(monkeypatch, *, count, index=0):
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda self: count))
    monkeypatch.setattr(Accelerator, "process_index", property(lambda self: index))


def test_processes_share_each_steps_pairs(monkeypatch, tiny, tmp_path):
    def batches(count, index):
        pretend_processes(monkeypatch, count=count, index=index)
        model, accelerator = create_model("nano"), loop.new_accelerator(tiny)
        optimizer = torch.optim.AdamW(model.parameters())
        run = loop._Run(settings=tiny, folder=tmp_path, accelerator=accelerator, model=model, optimizer=optimizer)
        return list(run._batches(start=7))

    whole, halves = batches(1, 0), [batches(2, index) for index in range(2)]
    assert len(whole) == len(halves[0]) == len(halves[1]) == tiny.steps - 7
    for batch, *parts in zip(whole, *halves, strict=True):
        queries = torch.stack([part.query for part in parts], dim=1).flatten(0, 1)
        assert torch.equal(queries, batch.query)


def test_a_batch_that_cannot_be_shared(monkeypatch, tiny, tmp_path):
    pretend_processes(monkeypatch, count=3)
    with pytest.raises(InputError, match="batch_size=4 cannot be shared by 3 processes; give a multiple"):
        train(tiny, out=tmp_path)


def test_the_one_cycle_schedule():
    settings = TrainSettings(steps=100, learning_rate=0.5)
    rates = [loop.learning_rate(settings, step) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == 0.5
    assert peak in (14, 15)
    assert rates[:15] == sorted(rates[:15])
    assert rates[15:] == sorted(rates[15:], reverse=True)
    assert rates[0] < 0.2 * max(rates)
    assert rates[-1] < 0.001 * max(rates)


def test_the_constant_schedule():
    settings = TrainSettings(steps=10, learning_rate=0.5, schedule="constant")
    assert {loop.learning_rate(settings, step) for step in range(10)} == {0.5}


def test_the_rate_of_the_step_is_used(monkeypatch, tiny, tmp_path):
    monkeypatch.setattr(loop, "learning_rate", lambda settings, step: 0.0)
    settings = tiny.model_copy(update={"steps": 2})
    result = train(settings, out=tmp_path)
    torch.manual_seed(tiny.seed)
    start = loop.new_model(settings)
    assert all(torch.equal(a, b) for a, b in zip(result.model.parameters(), start.parameters(), strict=True))


def test_the_output_starts_at_the_share_of_changed_pixels(tiny):
    assert loop.new_model(tiny).decoder.head.bias.sigmoid().item() == pytest.approx(loop._PRIOR)

import math
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from metauas.errors import InputError
from metauas.files import read_json
from metauas.model import create_model, load_checkpoint
from metauas.train import (
    SavingError,
    TrainSettings,
    held_out_examples,
    learner,
    loop,
    read_maps,
    train,
    training_pairs,
    validation,
)
from metauas.train.record import RECORD_NAME
from metauas.train.settings import Execution, Validation
from metauas.train.state import STATE_NAME

pytestmark = pytest.mark.long


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

    original = learner.learning_rate
    monkeypatch.setattr(learner, "learning_rate", fail)


@pytest.fixture(scope="module")
def unbroken(tiny, tmp_path_factory):
    """A complete run in its folder."""
    return train(tiny, out=tmp_path_factory.mktemp("unbroken") / "run")


@pytest.fixture
def finished(unbroken, tmp_path):
    """A copy of the complete run's folder, into which a test may write."""
    return shutil.copytree(unbroken.checkpoint.parent, tmp_path / "finished")


# --- what a run leaves


def test_the_loss_falls(easy_task, tiny, tmp_path):
    changes = {"steps": 50, "batch_size": 8, "learning_rate": 5.0e-3, "validation": Validation(pairs=8, every=5)}
    settings = tiny.model_copy(update=changes)
    history = train(settings, out=tmp_path).history
    assert history["loss"].iloc[-1] < 0.5 * history["loss"].iloc[0]
    assert history["validation loss"].iloc[-1] < 0.5 * history["validation loss"].iloc[0]
    assert history["P-AP"].iloc[-1] > 0.9


def test_the_folder_is_complete(tiny, unbroken):
    folder = unbroken.checkpoint.parent
    names = {"checkpoint", "history.csv", "maps", "metrics.json", "settings.json", RECORD_NAME, STATE_NAME}
    assert {path.name for path in folder.iterdir()} == names
    written = read_json(folder / "settings.json")
    assert TrainSettings.parse(written, origin="test") == tiny
    history = pd.read_csv(folder / "history.csv")
    pd.testing.assert_frame_equal(history, unbroken.history, check_dtype=False)
    assert history["step"].tolist() == [4, 8, 10]
    metrics = read_json(folder / "metrics.json")
    assert metrics.keys() == set(unbroken.history.columns)
    assert metrics["step"] == tiny.steps
    assert isinstance(metrics["step"], int)
    for name, value in metrics.items():
        last = unbroken.history[name].iloc[-1]
        assert value == (None if math.isnan(last) else last)


def test_the_checkpoint_is_the_network(unbroken):
    assert not unbroken.model.training
    assert same_weights(load_checkpoint(unbroken.checkpoint, preset="lite"), unbroken.model)


def test_the_network_has_learnt_something(tiny, unbroken):
    torch.manual_seed(tiny.seed)
    assert not same_weights(create_model("lite"), unbroken.model)


def test_only_the_steps_in_between_are_logged_without_validation(monkeypatch, tiny, tmp_path):
    settings = tiny.model_copy(update={"steps": 5, "validation": Validation(pairs=6, every=100)})
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


def test_maps_of_held_out_pairs_are_kept_at_each_validation(tiny, unbroken):
    maps = read_maps(unbroken.checkpoint.parent)
    examples = held_out_examples(unbroken.model, tiny, count=20)
    assert list(maps) == [4, 8, 10]
    for shown, example in zip(maps[10], examples, strict=False):
        np.testing.assert_allclose(shown, example.map, atol=1e-3)
    assert len(maps[4]) == min(8, len(examples))
    assert not np.array_equal(maps[4], maps[10])


# --- the same run twice


def test_the_same_seed_gives_the_same_run(tiny, unbroken, tmp_path):
    assert_same(train(tiny, out=tmp_path), unbroken)


def test_another_seed_gives_another_run(tiny, unbroken, tmp_path):
    other = train(tiny.model_copy(update={"seed": tiny.seed + 1}), out=tmp_path)
    assert not same_weights(other.model, unbroken.model)
    assert other.history["loss"].tolist() != unbroken.history["loss"].tolist()


@pytest.mark.parametrize("methods", [["fork", "spawn", "forkserver"], ["spawn"]], ids=["Linux and macOS", "Windows"])
def test_workers_change_nothing(tiny, unbroken, tmp_path, monkeypatch, methods):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: methods)
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # sums of other threads round otherwise
    assert_same(train(tiny.model_copy(update={"execution": Execution(workers=1)}), out=tmp_path), unbroken)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_step_leaves_a_core_to_each_worker(tiny, tmp_path, monkeypatch, workers):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("metauas.machine._cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        settings = tiny.model_copy(update={"steps": 1, "execution": Execution(workers=workers)})
        train(settings, out=tmp_path)
        assert read_json(tmp_path / RECORD_NAME)["sessions"][-1]["hardware"]["threads of a process"] == 2 - workers
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


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
    assert (tmp_path / STATE_NAME).exists() == (at >= tiny.validation.every)
    assert not (tmp_path / "metrics.json").exists()
    with monkeypatch.context() as patch:
        break_off(patch, at=at // 4 * 4 - 1)  # what was saved is not done again
        resumed = train(tiny, out=tmp_path)
    assert_same(resumed, unbroken)


def test_a_finished_run_is_not_done_again(monkeypatch, tiny, unbroken, finished):
    monkeypatch.setattr(learner, "learning_rate", lambda settings, step: pytest.fail("takes a step"))
    assert_same(train(tiny, out=finished), unbroken)


def test_without_resuming_a_run_starts_anew(monkeypatch, tiny, unbroken, tmp_path):
    with monkeypatch.context() as patch:
        break_off(patch, at=6)
        with pytest.raises(BrokenOffError):
            train(tiny.model_copy(update={"seed": 99}), out=tmp_path)
    assert_same(train(tiny, out=tmp_path, resume=False), unbroken)


def test_without_resuming_nothing_of_the_old_run_passes_for_the_new_one(monkeypatch, tiny, finished):
    with monkeypatch.context() as patch:
        break_off(patch, at=0)
        with pytest.raises(BrokenOffError):
            train(tiny.model_copy(update={"seed": 99}), out=finished, resume=False)
    assert sorted(path.name for path in finished.rglob("*") if path.is_file()) == ["run.json", "settings.json"]


def test_a_run_may_start_from_the_network_of_its_own_folder(monkeypatch, tiny, finished):
    again = tiny.model_copy(update={"init_from": str(finished / "checkpoint")})
    with monkeypatch.context() as patch:
        break_off(patch, at=0)
        with pytest.raises(BrokenOffError):
            train(again, out=finished, resume=False)
    assert (finished / "checkpoint/model.safetensors").is_file()


def test_other_settings_in_the_same_folder_are_refused(tiny, unbroken):
    folder = unbroken.checkpoint.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(
        InputError, match=r"other settings: network\.fusion was None and is 'concat'; give the same settings"
    ):
        train(tiny.model_copy(update={"network": {**tiny.network, "fusion": "concat"}}), out=folder)
    with pytest.raises(InputError, match="other settings: size was 32 and is 64; give the same settings"):
        train(tiny.model_copy(update={"size": 64}), out=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


# --- what can go wrong


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(monkeypatch, tiny, tmp_path, value):
    calls = []

    def forward(self, *pairs, **choices):
        calls.append(1)
        loss = original(self, *pairs, **choices)
        return loss * value if len(calls) == 7 else loss

    original = learner.ChangeLoss.forward
    monkeypatch.setattr(learner.ChangeLoss, "forward", forward)
    with pytest.raises(FloatingPointError, match=f"the loss is {value} at step 7; lower learning_rate"):
        train(tiny, out=tmp_path)
    assert pd.read_csv(tmp_path / "history.csv")["step"].tolist() == [4]
    assert all(weight.isfinite().all() for weight in load_checkpoint(tmp_path / "checkpoint").state_dict().values())
    assert not (tmp_path / "metrics.json").exists()


def test_settings_are_checked_before_anything_is_written(tiny, tmp_path):
    with pytest.raises(InputError, match=r"'locl' has no share.*did you mean 'local'"):
        train(tiny.model_copy(update={"recipe": {"kinds": ["locl"]}}), out=tmp_path / "run")
    with pytest.raises(InputError, match="photos does not exist"):
        train(tiny.model_copy(update={"recipe": {"photographs": str(tmp_path / "photos")}}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_wrong_settings_do_not_cost_the_state_of_a_run(tiny, finished):
    with pytest.raises(InputError, match="'locl'"):
        train(tiny.model_copy(update={"recipe": {"kinds": ["locl"]}}), out=finished, resume=False)
    assert (finished / STATE_NAME).exists()


# --- devices, precision, schedule


def test_precisions_may_follow_each_other_in_one_process(tiny, unbroken, tmp_path):
    half = train(tiny.model_copy(update={"execution": Execution(mixed_precision="bf16")}), out=tmp_path / "half")
    full = train(tiny, out=tmp_path / "full")
    assert_same(full, unbroken)
    assert not same_weights(half.model, full.model)
    assert half.history["loss"].iloc[-1] == pytest.approx(full.history["loss"].iloc[-1], rel=0.2)


def test_the_rate_of_the_step_is_used(monkeypatch, tiny, tmp_path):
    monkeypatch.setattr(learner, "learning_rate", lambda settings, step: 0.0)
    settings = tiny.model_copy(update={"steps": 2})
    result = train(settings, out=tmp_path)
    torch.manual_seed(tiny.seed)
    start = loop.new_model(settings)
    assert all(torch.equal(a, b) for a, b in zip(result.model.parameters(), start.parameters(), strict=True))


def test_the_output_starts_at_the_share_of_changed_pixels(tiny):
    assert loop.new_model(tiny).decoder.head.bias.sigmoid().item() == pytest.approx(learner._PRIOR)


def test_parts_of_a_step_are_taken_one_after_the_other(easy_task, tiny, tmp_path):
    validation, execution = Validation(pairs=8, every=40), Execution(accumulate=2)
    settings = tiny.model_copy(update={"steps": 40, "batch_size": 8, "validation": validation, "execution": execution})
    history = train(settings, out=tmp_path).history
    assert history["P-AP"].iloc[-1] > 0.9


def test_no_more_is_validated_at_once_than_a_part_of_a_step(monkeypatch, tiny, tmp_path):
    sizes = []
    count = loop.count
    monkeypatch.setattr(
        loop, "count", lambda model, pairs, **options: sizes.append(pairs.batch_size) or count(model, pairs, **options)
    )
    train(tiny.model_copy(update={"steps": 1, "batch_size": 4, "execution": Execution(accumulate=2)}), out=tmp_path)
    assert sizes == [2]


# --- which network is kept


def test_the_best_network_is_kept_and_the_run_ends_early(monkeypatch, easy_task, tiny, tmp_path):
    values = iter([0.2, 0.6, 0.4, 0.6])
    result = validation.Tally.result
    monkeypatch.setattr(validation.Tally, "result", lambda tally: result(tally) | {"P-AP": next(values)})
    changes = {"validation": Validation(pairs=6, every=2, keep="best", patience=2)}
    kept = train(tiny.model_copy(update=changes), out=tmp_path / "best")
    assert kept.history["step"].tolist() == [2, 4, 6, 8]
    assert read_json(tmp_path / "best" / "metrics.json")["step"] == 4
    record = read_json(tmp_path / "best" / RECORD_NAME)["checkpoint"]
    assert (record["kept"], record["step"], record["P-AP"]) == ("best", 4, 0.6)
    values = iter([0.2, 0.6])
    four_steps = tiny.model_copy(update={"validation": Validation(pairs=6, every=2), "steps": 4})
    with monkeypatch.context() as patch:
        patch.setattr(learner, "learning_rate", lambda _, step, rate=learner.learning_rate: rate(tiny, step))
        assert same_weights(train(four_steps, out=tmp_path / "four").model, kept.model)
    monkeypatch.setattr(learner, "learning_rate", lambda settings, step: pytest.fail("goes on after its end"))
    again = train(tiny.model_copy(update=changes), out=tmp_path / "best")
    pd.testing.assert_frame_equal(again.history, kept.history)


def test_the_average_is_what_is_kept_and_resumed(monkeypatch, tiny, unbroken, tmp_path):
    settings = tiny.model_copy(update={"ema_decay": 0.9})
    whole = train(settings, out=tmp_path / "whole")
    assert whole.history["loss"].tolist() == unbroken.history["loss"].tolist()
    assert whole.history["validation loss"].tolist() != unbroken.history["validation loss"].tolist()
    assert not same_weights(whole.model, unbroken.model)
    with monkeypatch.context() as patch:
        break_off(patch, at=6)
        with pytest.raises(BrokenOffError):
            train(settings, out=tmp_path / "broken")
    assert_same(train(settings, out=tmp_path / "broken"), whole)


# --- starting from a checkpoint


def test_a_run_starts_from_a_checkpoint(monkeypatch, tiny, unbroken, tmp_path):
    monkeypatch.setattr(learner, "learning_rate", lambda settings, step: 0.0)
    changes = {
        "init_from": str(unbroken.checkpoint),
        "network": {"preset": "lite", "freeze_encoder": False},
        "steps": 1,
    }
    fine = train(tiny.model_copy(update=changes), out=tmp_path / "fine")
    assert fine.model.config == unbroken.model.config.model_copy(update={"freeze_encoder": False})
    pairs = zip(fine.model.parameters(), unbroken.model.parameters(), strict=True)
    assert all(torch.equal(tuned, start) for tuned, start in pairs)
    record = read_json(tmp_path / "fine" / RECORD_NAME)["init_from"]
    assert record["path"] == str(unbroken.checkpoint)
    assert len(record["sha256"]) == 64


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"preset": "lite", "fusion": "concat"}, "has fusion='nearest', not 'concat'; leave fusion out"),
        ({"preset": "b4"}, "is of preset 'lite', not 'b4'"),
    ],
    ids=["fusion", "preset"],
)
def test_a_checkpoint_of_another_network_is_no_start(tiny, unbroken, tmp_path, choice, message):
    with pytest.raises(InputError, match=message):
        train(tiny.model_copy(update={"init_from": str(unbroken.checkpoint), "network": choice}), out=tmp_path / "fine")
    assert not (tmp_path / "fine").exists()


# --- the record, trackers, compiling


def test_the_record_says_all_that_is_needed_to_repeat_a_run(monkeypatch, tiny, tmp_path):
    with monkeypatch.context() as patch:
        break_off(patch, at=6)
        with pytest.raises(BrokenOffError):
            train(tiny, out=tmp_path)
    train(tiny, out=tmp_path)
    record = read_json(tmp_path / RECORD_NAME)
    assert TrainSettings.parse(record["settings"], origin="record") == tiny
    assert record["seed"] == tiny.seed
    assert [session["from step"] for session in record["sessions"]] == [0, 4]
    for session in record["sessions"]:
        assert session["versions"]["torch"] == torch.__version__
        assert session["hardware"]["processes"] == 1
        assert "commit" in session
    assert record["checkpoint"]["step"] == tiny.steps


def test_a_tracker_gets_the_curves(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tiny.model_copy(update={"execution": Execution(tracker="tensorboard"), "steps": 4}), out=tmp_path)
    events = EventAccumulator(str(tmp_path / "tracking" / "metauas")).Reload()
    (loss,) = events.Scalars("validation loss")
    assert loss.step == 4
    assert loss.value == pytest.approx(result.history["validation loss"].iloc[-1], rel=1e-6)


def test_the_network_is_compiled_where_that_is_asked_for(monkeypatch, tiny, tmp_path):
    """Nothing is really compiled: what checks shapes while tests run cannot be traced."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: compiled.append(options["backend"]) or model)
    for choice in (False, True):
        train(
            tiny.model_copy(update={"execution": Execution(torch_compile=choice), "steps": 1}),
            out=tmp_path / str(choice),
        )
    assert compiled == ["inductor"]


# --- a full disk


def test_a_full_disk_leaves_the_last_good_state(monkeypatch, tiny, unbroken, tmp_path):
    """The kernel refuses to let a file grow, as it does on a full disk, when step 8 is saved."""
    resource = pytest.importorskip("resource", reason="Windows has no limits of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    save_state = loop.save_state

    def fill(folder, learner, progress):
        if progress.step == 8:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
        save_state(folder, learner, progress)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", fill)
        try:
            with pytest.raises(SavingError, match=r"step 8 could not be saved.*; the previous state is intact"):
                train(tiny, out=tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob(".tmp-*"))
    assert load_checkpoint(tmp_path / "checkpoint")
    with monkeypatch.context() as patch:
        break_off(patch, at=3)  # what was saved is not done again
        assert_same(train(tiny, out=tmp_path), unbroken)

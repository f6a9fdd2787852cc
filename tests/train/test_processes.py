"""Many processes make the run that one process makes."""

import os
import signal
import subprocess
import sys

import pytest
import torch
import yaml
from torch import nn

from metauas.errors import InputError
from metauas.files import read_json
from metauas.model import create_model, load_checkpoint
from metauas.train import launch, loop, train
from metauas.train.norms import SyncedBatchNorm2d, synchronise_norms
from metauas.train.processes import check_processes, check_shares, check_tracker
from metauas.train.record import RECORD_NAME
from metauas.train.settings import Execution, Validation

pytestmark = pytest.mark.long
ON_CPU = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
# forking with other threads about is what notebook_launcher does
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is used before processes are forked")


@pytest.fixture
def double_precision():
    """In single precision what is rounded otherwise soon shows: Adam follows the sign even of noise."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.alone
@forks
@without_gpu
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(
    monkeypatch, double_precision, easy_task, tiny, tmp_path
):
    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    settings = tiny.model_copy(update={"steps": 10, "batch_size": 8, "validation": Validation(pairs=6, every=5)})
    one = train(settings, out=tmp_path / "one")
    two = launch(settings, out=tmp_path / "two", processes=2)
    assert one.history["step"].tolist() == list(range(1, 11))
    assert two.history["loss"].tolist() == pytest.approx(one.history["loss"].tolist(), rel=1e-4)
    for name in ("validation loss", "P-AP", "P-AUROC"):
        ours, theirs = (result.history[name].dropna().tolist() for result in (two, one))
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert read_json(tmp_path / "two" / RECORD_NAME)["sessions"][0]["hardware"]["processes"] == 2
    statistics = {name for name in two.model.state_dict() if "running" in name}
    assert statistics
    for name in statistics:
        torch.testing.assert_close(two.model.state_dict()[name], one.model.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_torchrun_starts_the_command_line(tiny, tmp_path):
    params = tmp_path / "mine.yaml"
    changes = {"steps": 2, "execution": {"accumulate": 2}, "validation": {"pairs": 3}}
    params.write_text(
        yaml.safe_dump({"size": 32, "batch_size": 4, "network": tiny.network, "recipe": tiny.recipe} | changes)
    )
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "metauas", "train", "--params", params, "--out", tmp_path / "run"]
    done = subprocess.run(command, env=ON_CPU, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("checkpoint:") == 1
    assert load_checkpoint(tmp_path / "run" / "checkpoint", preset="lite")
    assert read_json(tmp_path / "run" / RECORD_NAME)["sessions"][0]["hardware"]["processes"] == 2


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from metauas.train import TrainSettings, train

torch.set_num_threads(int(sys.argv[3]))
write_bytes, saved = Path.write_bytes, []

def half_a_file(path, content):
    write_bytes(path, content)
    if path.suffix == ".safetensors":
        saved.append(path)
    if len(saved) == 4:  # checkpoint and state at step 4, checkpoint and state at step 8
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

Path.write_bytes = half_a_file
train(TrainSettings.model_validate_json(sys.argv[1]), out=sys.argv[2])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_run_that_is_killed_while_it_is_saved_ends_as_the_unbroken_one(tiny, tmp_path):
    arguments = [tiny.model_dump_json(), tmp_path / "killed", str(torch.get_num_threads())]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env={**os.environ, "TQDM_DISABLE": "1"})
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "killed").glob(".tmp-*"))
    resumed = train(tiny, out=tmp_path / "killed")
    assert read_json(tmp_path / "killed" / RECORD_NAME)["sessions"][1]["from step"] == 4
    assert not list((tmp_path / "killed").glob(".tmp-*"))
    unbroken = train(tiny, out=tmp_path / "unbroken")
    assert resumed.history["loss"].tolist() == unbroken.history["loss"].tolist()
    first, second = resumed.model.state_dict(), unbroken.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- checks before any process is started


@without_gpu
def test_a_batch_that_cannot_be_shared(tiny, tmp_path):
    with pytest.raises(InputError, match="batch_size=4 cannot be shared by 3 processes; give a multiple of 3"):
        launch(tiny, out=tmp_path / "run", processes=3)
    with pytest.raises(InputError, match="by 2 processes in 4 parts each; give a multiple of 8"):
        check_shares(tiny.model_copy(update={"execution": Execution(accumulate=4)}), processes=2)
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_processes(2)
    for processes in (0, 3):
        with pytest.raises(InputError, match=f"processes={processes}; give 1 to 2, one for each GPU"):
            check_processes(processes)


def test_trackers_that_are_not_known_or_not_there(monkeypatch):
    check_tracker(None)
    with pytest.raises(InputError, match="tracker='tensorbord' is not known, did you mean 'tensorboard'"):
        check_tracker("tensorbord")
    monkeypatch.setattr("accelerate.tracking._available_trackers", [])
    with pytest.raises(InputError, match=r"not installed; get it with: pip install 'metauas\[tensorboard\]'"):
        check_tracker("tensorboard")


# --- batch norms


def test_only_norms_that_learn_are_synchronised():
    model = create_model("lite", encoder="resnet18", encoder_weights="random", freeze_encoder=False)
    names = model.state_dict().keys()
    synchronise_norms(model, gpu=False)
    assert {type(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {SyncedBatchNorm2d}
    assert model.state_dict().keys() == names
    frozen = create_model("b4", encoder_weights="random")
    synchronise_norms(frozen, gpu=False)
    assert not any(isinstance(module, SyncedBatchNorm2d) for module in frozen.encoder.modules())
    assert any(isinstance(module, SyncedBatchNorm2d) for module in frozen.decoder.modules())


def test_norms_with_an_activation_inside_are_refused_without_gpus():
    model = create_model("b4", encoder_weights="random", freeze_encoder=False)
    with pytest.raises(InputError, match=r"encoder\.body\.bn1 cannot be shared by processes without GPUs"):
        synchronise_norms(model, gpu=False)


def test_a_synchronised_norm_of_one_process_is_a_batch_norm(monkeypatch):
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: None)
    torch.manual_seed(0)
    plain, synced = nn.BatchNorm2d(3), SyncedBatchNorm2d(3)
    images = torch.rand(4, 3, 5, 6) + 7
    found = []
    for norm in (plain, synced):
        features = images.clone().requires_grad_()
        nn.init.constant_(norm.weight, 0.7)
        output = norm(features)
        (output * torch.arange(6)).square().sum().backward()
        evaluated = norm.eval()(images)
        found.append([output, evaluated, features.grad, norm.weight.grad, norm.bias.grad, *norm.state_dict().values()])
    for ours, theirs in zip(*found[::-1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)

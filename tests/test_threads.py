"""Threads that yield while they wait, and leave cores to others."""

import subprocess
import sys

import pytest
import torch

from metauas.threads import cores_left, let_threads_yield


def test_spinning_is_limited():
    environment = {"PATH": "/bin"}
    let_threads_yield(environment)
    assert environment == {"PATH": "/bin", "GOMP_SPINCOUNT": "10000"}


@pytest.mark.parametrize("own", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_a_user_s_own_choice_wins(own):
    environment = dict(own)
    let_threads_yield(environment)
    assert environment == own


def test_importing_the_package_sets_it_before_torch_is_imported():
    code = "import sys, os, metauas; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10000", "False"]


@pytest.fixture
def eight_cores(monkeypatch):
    """A machine with eight cores on which PyTorch takes all of them."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("metauas.threads._cores", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("busy", "threads"), [(0, 8), (1, 7), (7, 1), (8, 1), (16, 1)])
def test_each_busy_process_gets_a_core(eight_cores, busy, threads):
    with cores_left(busy=busy):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 8


def test_the_user_s_number_of_threads_is_kept(eight_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    with cores_left(busy=3):
        assert torch.get_num_threads() == 8
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(2)
    with cores_left(busy=3):
        assert torch.get_num_threads() == 2


def test_threads_are_as_before_after_an_error(eight_cores):
    with pytest.raises(ValueError, match="broken"), cores_left(busy=3):
        raise ValueError("broken")
    assert torch.get_num_threads() == 8

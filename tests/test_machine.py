"""This machine: devices, threads that yield while they wait and leave cores to others, and memory that runs out."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from metauas.errors import InputError
from metauas.machine import choose_device, cores_left, halving_batches, is_out_of_memory, keep_freed_memory

FAILURES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to …"),
]


def needing(largest, failure, tried):
    def work(batch_size):
        tried.append(batch_size)
        if batch_size > largest:
            raise failure
        return f"done in {batch_size}"

    return work


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_the_batch_is_halved_until_it_fits_and_that_is_told(failure):
    tried = []
    with pytest.warns(RuntimeWarning, match=r"going on with batch_size=[36]") as told:
        assert halving_batches(needing(3, failure, tried), batch_size=13, size=64) == "done in 3"
    assert tried == [13, 6, 3]
    assert len(told) == 2


@pytest.mark.filterwarnings("ignore:out of memory")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_what_to_lower_is_said_if_one_image_is_too_much(failure):
    tried = []
    with pytest.raises(InputError, match=r"out of memory with a single image.*; lower size=64, or"):
        halving_batches(needing(0, failure, tried), batch_size=4, size=64)
    assert tried == [4, 2, 1]


def test_other_errors_are_none_of_its_business():
    with pytest.raises(RuntimeError, match="shapes differ"):
        halving_batches(needing(0, RuntimeError("shapes differ"), []), batch_size=4, size=64)


def test_what_torch_says_here_when_memory_runs_out_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


FAULTS = """
import ctypes, resource, sys
from metauas.machine import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    held = libc.malloc(64 << 20)
    ctypes.memset(held, 1, 64 << 20)
    libc.free(held)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_memory_that_is_kept_is_not_asked_for_again():
    def faults(way):
        done = subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert 0 < faults("keep") < faults("give back") / 5


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()


# --- threads


@pytest.mark.parametrize(
    ("own", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_spinning_is_limited_before_torch_is_imported_unless_the_user_has_chosen(own, spins):
    code = "import sys, os, metauas; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", code], env=kept | own, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spins, "False"]


@pytest.fixture
def eight_cores(monkeypatch):
    """A machine with eight cores on which PyTorch takes all of them."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("metauas.machine._cores", lambda: 8)
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


# --- devices


def with_accelerator(monkeypatch, kind, *, count=1):
    """Let PyTorch find an accelerator of a kind, or none."""
    found = None if kind is None else torch.device(kind)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: found)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


@pytest.mark.parametrize(("kind", "expected"), [("cuda", "cuda"), ("mps", "mps"), ("xpu", "xpu"), (None, "cpu")])
def test_auto_takes_an_accelerator_where_there_is_one(monkeypatch, kind, expected):
    with_accelerator(monkeypatch, kind)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


def test_one_of_several_gpus(monkeypatch):
    with_accelerator(monkeypatch, "cuda", count=2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="device='cuda:2': PyTorch finds 2 of them, counted from 0"):
        choose_device("cuda:2")


def test_a_device_that_is_not_there(monkeypatch):
    with_accelerator(monkeypatch, None)
    with pytest.raises(InputError, match="device='cuda': PyTorch finds cpu here; choose one of them, or auto"):
        choose_device("cuda")
    with_accelerator(monkeypatch, "mps")
    with pytest.raises(InputError, match="device='cuda:0': PyTorch finds cpu and mps here"):
        choose_device("cuda:0")
    with pytest.raises(InputError, match="device='gpu' is not known; choose auto, cpu, cuda"):
        choose_device("gpu")

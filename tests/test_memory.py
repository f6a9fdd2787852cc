import platform
import subprocess
import sys

import pytest
import torch

from metauas.errors import InputError
from metauas.memory import halving_batches, is_out_of_memory, keep_freed_memory

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
        assert halving_batches(needing(3, failure, tried), batch_size=13, advice="lower size") == "done in 3"
    assert tried == [13, 6, 3]
    assert len(told) == 2


@pytest.mark.filterwarnings("ignore:out of memory")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_what_to_lower_is_said_if_one_image_is_too_much(failure):
    tried = []
    with pytest.raises(InputError, match=r"out of memory with a single image.*; lower size"):
        halving_batches(needing(0, failure, tried), batch_size=4, advice="lower size")
    assert tried == [4, 2, 1]


def test_other_errors_are_none_of_its_business():
    with pytest.raises(RuntimeError, match="shapes differ"):
        halving_batches(needing(0, RuntimeError("shapes differ"), []), batch_size=4, advice="")


def test_what_torch_says_here_when_memory_runs_out_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


FAULTS = """
import ctypes, resource, sys
from metauas.memory import keep_freed_memory
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

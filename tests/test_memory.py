import pytest
import torch

from metauas.errors import InputError
from metauas.memory import halving_batches, is_out_of_memory

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

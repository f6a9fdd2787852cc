"""This machine: its devices and cores, and what to do when memory runs out."""

import ctypes
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from metauas.errors import InputError

Result = TypeVar("Result")

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3), in every glibc


def choose_device(name: str) -> torch.device:
    """Return a device by PyTorch's name, such as ``cpu``, ``cuda:1``, ``mps``; ``auto`` takes a GPU if there is one.

    Raises:
        InputError: the name is unknown, or PyTorch finds no such device.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return found or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device={name!r} is not known; choose auto, cpu, cuda, cuda:1, mps or xpu") from error
    there = ["cpu", *([found.type] if found else [])]
    if device.type not in there:
        raise InputError(f"device={name!r}: PyTorch finds {' and '.join(there)} here; choose one of them, or auto")
    if device.type != "cpu" and (device.index or 0) >= torch.accelerator.device_count():
        raise InputError(f"device={name!r}: PyTorch finds {torch.accelerator.device_count()} of them, counted from 0")
    return device


@contextmanager
def cores_left(*, busy: int) -> Iterator[None]:
    """Leave one core to each of ``busy`` other processes: PyTorch computes with the remaining cores, at least one.

    A number of threads that the user chose is kept: ``OMP_NUM_THREADS``, or a smaller ``torch.set_num_threads``.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(before, max(1, _cores() - busy)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    """Return the number of cores that this process may use; only Linux can restrict them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, and return whether it does; only glibc supports this.

    Each training step on a CPU frees large tensors and allocates them again in the next. By default glibc returns them
    to the system, which must clear every page: 5 to 15 % of the time of a step (`benchmarks/freed_memory.py`).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, -1) and mallopt(_MMAP_MAX, 0))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory has run out, on a GPU or a CPU, for which torch has no error class."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def halving_batches(work: Callable[[int], Result], *, batch_size: int, size: int) -> Result:
    """Return ``work(batch_size)``; each time memory runs out, start again with half the batch size.

    Args:
        work: does all the work in batches of the given size; its result must not depend on the size.
        batch_size: the first batch size.
        size: side of the images, pixels, for the error.

    Raises:
        InputError: memory runs out with a batch of 1.
    """
    while True:
        try:
            return work(batch_size)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0] or "MemoryError"
        # outside the handler, because the traceback keeps tensors alive
        if batch_size == 1:
            advice = f"lower size={size}, or choose another device"
            raise InputError(f"out of memory with a single image ({reason}); {advice}")
        batch_size //= 2
        torch.cuda.empty_cache()
        warnings.warn(f"out of memory; going on with batch_size={batch_size}", RuntimeWarning, stacklevel=2)

"""Memory: kept where the same is needed again at once, and running out of it answered with smaller batches."""

import ctypes
import platform
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from metauas.errors import InputError

Result = TypeVar("Result")

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3), in every glibc


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, and return whether it does: only glibc can be told to.

    Each training step on a CPU frees large tensors and needs them again in the next. By default glibc hands them back
    to the system, which must clear every page anew: 5 to 15 % of the time of a step
    (`benchmarks/freed_memory.py`).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, -1) and mallopt(_MMAP_MAX, 0))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, on a GPU or here, where torch has no error of its own for it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def lower_size(size: int) -> str:
    """Return what to do where memory does not suffice for a single image of ``size`` pixels a side."""
    return f"lower size={size}, or choose another device"


def halving_batches(work: Callable[[int], Result], *, batch_size: int, advice: str) -> Result:
    """Return ``work(batch_size)``, begun anew with half the batch as often as memory runs out.

    Args:
        work: does all of it in batches of the given size; its result must not depend on that.
        batch_size: the first to be tried.
        advice: what to do if even a batch of 1 is too large.

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
        # out of the handler, which would keep all that the traceback refers to
        if batch_size == 1:
            raise InputError(f"out of memory with a single image ({reason}); {advice}")
        batch_size //= 2
        torch.cuda.empty_cache()
        warnings.warn(f"out of memory; going on with batch_size={batch_size}", RuntimeWarning, stacklevel=2)

"""Memory: keep freed memory between steps, and halve batches when it runs out."""

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


def lower_size(size: int) -> str:
    """Return the advice for a single image of ``size`` pixels a side that does not fit into memory."""
    return f"lower size={size}, or choose another device"


def halving_batches(work: Callable[[int], Result], *, batch_size: int, advice: str) -> Result:
    """Return ``work(batch_size)``; each time memory runs out, start again with half the batch size.

    Args:
        work: does all the work in batches of the given size; its result must not depend on the size.
        batch_size: the first batch size.
        advice: for the error if a batch of 1 is too large.

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
            raise InputError(f"out of memory with a single image ({reason}); {advice}")
        batch_size //= 2
        torch.cuda.empty_cache()
        warnings.warn(f"out of memory; going on with batch_size={batch_size}", RuntimeWarning, stacklevel=2)

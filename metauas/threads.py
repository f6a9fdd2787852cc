"""Threads that share the cores: how long OpenMP's threads spin, and how many of them take a training step."""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

_SPINS = "10000"  # about 10 µs: nothing is lost on a quiet machine, a step is ten times faster on a busy one


def let_threads_yield(environment: MutableMapping[str, str]) -> None:
    """Limit the spinning of libgomp's threads in ``environment``, unless the user has chosen how threads wait.

    By default threads spin for milliseconds at every barrier. On a machine whose cores are busy with other work the
    thread that all wait for cannot run meanwhile. libgomp reads the variable when PyTorch loads it.
    """
    if not environment.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        environment["GOMP_SPINCOUNT"] = _SPINS


@contextmanager
def cores_left(*, busy: int) -> Iterator[None]:
    """Leave one core to each of ``busy`` other processes: PyTorch computes with the remaining cores, at least one.

    A number of threads that the user chose is kept: ``OMP_NUM_THREADS``, or a smaller ``torch.set_num_threads``.
    """
    import torch  # importing the package must not import torch

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

"""Threads that yield: how long OpenMP's threads spin before they sleep."""

from collections.abc import MutableMapping

_SPINS = "10000"  # about 10 µs: nothing is lost on a quiet machine, a step is ten times faster on a busy one


def let_threads_yield(environment: MutableMapping[str, str]) -> None:
    """Limit the spinning of libgomp's threads in ``environment``, unless the user has chosen how threads wait.

    By default threads spin for milliseconds at every barrier. On a machine whose cores are busy with other work the
    thread that all wait for cannot run meanwhile. libgomp reads the variable when PyTorch loads it.
    """
    if not environment.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        environment["GOMP_SPINCOUNT"] = _SPINS

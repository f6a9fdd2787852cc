"""A training step on a busy machine: with OpenMP's own spinning, and with the limit that metauas sets.

Threads that spin while they wait take the core from the thread that they wait for. Each setting has a process of its
own; both take their steps in turns, next to busy loops.

    python benchmarks/busy.py [--rounds 5] [--loops 2]
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from common import Row, in_turns, on_demand, report, serve, wall

DEFAULT = {"GOMP_SPINCOUNT": "300000"}  # what libgomp takes without the variable, by its manual
THREADS = 2


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep ``count`` processes computing inside the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def one_step() -> Callable[[], float]:
    """Return a measure of a training step of 12 pairs at 96 pixels."""
    import torch

    from metauas.model import MetaUAS
    from metauas.train import TrainSettings, training_pairs
    from metauas.train.data import step_batches
    from metauas.train.learner import Learner
    from metauas.train.processes import new_accelerator

    torch.set_num_threads(THREADS)
    settings = TrainSettings(steps=1)
    learner = Learner(MetaUAS(settings.network_config), settings, accelerator=new_accelerator(settings))
    ((batch,),) = step_batches(training_pairs(settings), settings, start=0, process=0, processes=1)
    learner.step([batch], step=0)
    return wall(lambda: learner.step([batch], step=0))


def main(rounds: int = 5, loops: int = 2, out: Path | None = None, child: bool = False) -> None:
    if child:
        serve(one_step())
        return
    with on_demand(__file__, "--child", environment=DEFAULT) as default, on_demand(__file__, "--child") as ours:
        default(), ours()  # both have started
        with busy_loops(loops):
            seconds = in_turns({"default": default, "ours": ours}, rounds=rounds)
    what = f"training step of 12 pairs at 96 px, {THREADS} threads next to {loops} busy loops"
    row = Row(
        what=what, unit="s", ours=seconds["ours"], against="libgomp's spin", reference=seconds["default"], times=5
    )
    report([row], out=out)


if __name__ == "__main__":
    typer.run(main)

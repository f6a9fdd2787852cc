"""What a training step on a CPU gains where freed memory is kept, as `metauas train` does, and what it costs.

Steps of ``lite`` on random images, in two processes in turns, as a process cannot be told to give memory back again.
Memory is the most that was resident.

    python benchmarks/freed_memory.py [--size 128] [--batch-size 16] [--rounds 7]
"""

import resource
from collections.abc import Callable
from pathlib import Path

import torch
import typer
from common import Row, on_demand, report, serve, wall

from metauas.machine import keep_freed_memory
from metauas.model import create_model
from metauas.train.loss import ChangeLoss

BACK = "given back"


def steps(*, size: int, batch_size: int) -> Callable[[], tuple[float, float]]:
    """Return a measure: seconds of a step without its optimiser, and MiB of this process at its peak."""
    torch.manual_seed(0)
    loss = ChangeLoss(create_model("lite"))
    query, prompt = torch.rand(2, batch_size, 3, size, size)
    step = wall(lambda: loss(query, prompt, (query > 0.5)[:, :1].float()).backward())
    return lambda: (step(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(size: int = 128, batch_size: int = 16, rounds: int = 7, out: Path | None = None, child: str = "") -> None:
    if child != BACK and not keep_freed_memory():
        print("only glibc can be told to keep freed memory")
        report([], out=out)
        return
    if child:
        serve(steps(size=size, batch_size=batch_size))
        return
    extent = ["--size", str(size), "--batch-size", str(batch_size)]
    found: dict[str, list[list[float]]] = {BACK: [], "kept": []}
    with (
        on_demand(__file__, "--child", BACK, *extent) as back,
        on_demand(__file__, "--child", "kept", *extent) as kept,
    ):
        for _ in range(rounds + 2):
            found[BACK].append(back())
            found["kept"].append(kept())
    ours, reference = ([list(column) for column in zip(*found[way][2:], strict=True)] for way in ("kept", BACK))
    what = f"training step of lite, {batch_size} pairs of {size} px, freed memory kept"
    report(
        [
            Row(what=what, unit="s", ours=ours[0], against=BACK, reference=reference[0]),
            Row(what="its memory at the peak", unit="MiB", ours=ours[1], against=BACK, reference=reference[1]),
        ],
        out=out,
    )


if __name__ == "__main__":
    typer.run(main)

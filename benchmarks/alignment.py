"""How much memory soft alignment takes at its peak, against einsum and softmax, each in a process of its own.

python benchmarks/alignment.py [--size 512] [--rounds 5]
"""

import resource
import subprocess
import sys
from pathlib import Path

import torch
import typer
from common import Row, in_turns, report
from model import einsum_softmax

from metauas.model import FeatureAlignment

STRIDE, CHANNELS = 8, 56  # b4's shallowest aligned stage, which has the most positions


@torch.no_grad()
def peak(how: str, *, size: int) -> float:
    """Return by how many MiB one alignment at ``size`` pixels raises this process's peak."""
    align = FeatureAlignment(CHANNELS)
    query, prompt = torch.rand(2, 1, CHANNELS, size // STRIDE, size // STRIDE)
    align(query[..., :4, :4], prompt[..., :4, :4])  # what is allocated once does not count
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    einsum_softmax(align, query, prompt) if how == "einsum" else align(query, prompt)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def measured(how: str, *, size: int) -> float:
    """Run ``peak`` in a fresh process, as a process's peak never falls."""
    command = [sys.executable, __file__, "--child", how, "--size", str(size)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)


def main(size: int = 512, rounds: int = 5, out: Path | None = None, child: str = "") -> None:
    if child:
        print(peak(child, size=size))
        return
    peaks = in_turns({how: lambda how=how: measured(how, size=size) for how in ("einsum", "ours")}, rounds=rounds)
    what = f"peak memory of aligning b4's stage of stride {STRIDE} at {size} px"
    report([Row(what=what, unit="MiB", ours=peaks["ours"], against="einsum", reference=peaks["einsum"])], out=out)


if __name__ == "__main__":
    typer.run(main)

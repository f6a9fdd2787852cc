"""How much memory soft alignment takes at its peak, against einsum and softmax, each in a process of its own.

python benchmarks/alignment.py [--sizes 256 512 1024]
"""

import argparse
import resource
import subprocess
import sys

import torch
from common import print_table
from model import einsum_softmax

from metauas.model import FeatureAlignment

STRIDE, CHANNELS = 8, 56  # b4's shallowest aligned stage, which has the most positions


@torch.no_grad()
def peak(how: str, size: int) -> float:
    """Return by how many MiB one alignment at ``size`` pixels raises this process's peak."""
    align = FeatureAlignment(CHANNELS)
    query, prompt = torch.rand(2, 1, CHANNELS, size // STRIDE, size // STRIDE)
    align(query[..., :4, :4], prompt[..., :4, :4])  # what is allocated once does not count
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    align(query, prompt) if how == "sdpa" else einsum_softmax(align, query, prompt)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def measured(how: str, size: int) -> float:
    """Run ``peak`` in a fresh process, as a process's peak never falls."""
    done = subprocess.run([sys.executable, __file__, "--peak", how, str(size)], capture_output=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print(peak(given.peak[0], int(given.peak[1])))
        return
    rows = []
    for size in given.sizes:
        plain, ours = measured("einsum", size), measured("sdpa", size)
        rows.append({"pixels": size, "einsum MiB": plain, "ours MiB": ours, "ours / einsum": ours / plain})
    print_table(rows, title=f"peak memory of aligning b4's stage of stride {STRIDE}, float32")


if __name__ == "__main__":
    main()

"""Memory of a long evaluation: what a process holds must not grow with what it has evaluated.

By default 2,000 drawn images in 100 categories; ``--images 100`` makes them 10,000. Drawn images stand in for
photographs, and a network of one line for MetaUAS, since neither's content matters to memory; readers, metrics, curves
and gallery are the real ones. What counts
is the resident memory after each category: that of the last tenth against that of the second (the first fills caches).

    python benchmarks/evaluation_memory.py [--categories 100] [--images 20]
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
import typer
from common import Row, report
from torch import Tensor

from metauas.eval import EvalSettings, MapGatherer, evaluate
from metauas.eval.benchmarks.layouts import read_benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.selection import Prompt
from metauas.files.images import write_png

LIMIT = 1.05  # memory may grow by this factor


class Difference:
    """A network as evaluation knows them: the map is the mean difference of query and prompt."""

    label, training = "difference", False

    def embed(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))

    def encode_prompt(self, prompt: Tensor) -> Tensor:
        return prompt

    def segment(self, queries: Tensor, prompt: Tensor) -> Tensor:
        return (queries - prompt).abs().mean(dim=1, keepdim=True)


def draw(root: Path, *, categories: int, images: int, size: int) -> None:
    """Draw the benchmark: noise, half of the test images with a bright square."""
    rng = np.random.default_rng(0)
    for number in range(categories):
        folder = root / f"kind{number:03d}"
        write_png(folder / "train" / "good" / "0.png", _noise(rng, size))
        for index in range(images):
            picture, mask = _noise(rng, size), np.zeros((size, size), bool)
            if index % 2:
                mask[4:12, 4:12] = True
                picture[mask] = 255
                write_png(folder / "ground_truth" / "square" / f"{index}_mask.png", mask)
            write_png(folder / "test" / ("square" if index % 2 else "good") / f"{index}.png", picture)


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.integers(0, 200, (size, size, 3), dtype=np.uint8)


def resident_after_each(root: Path, *, size: int) -> list[int]:
    """Evaluate, and return the bytes that this process held after each category."""
    settings = EvalSettings(size=size, seeds=(1,), queries_at_once=16)
    benchmark, model, held = read_benchmark(root, layout="mvtec"), Difference(), []
    gather = MapGatherer(benchmark)

    def take(queries: Queries, prompts: Sequence[Prompt], seed: int, maps: np.ndarray) -> None:
        gather(queries, prompts, seed, maps)
        held.append(psutil.Process().memory_info().rss)

    evaluate(model, benchmark, settings, baselines=False, on_maps=[take])
    return held


def main(categories: int = 100, images: int = 20, size: int = 32, out: Path | None = None) -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        draw(Path(folder), categories=categories, images=images, size=size)
        held = [held / 2**20 for held in resident_after_each(Path(folder), size=size)]
    tenth = max(5, categories // 10)
    what = f"resident memory at the end of an evaluation of {categories * images:,} images"
    early, late = held[tenth : 2 * tenth], held[-tenth:]
    row = Row(what=what, unit="MiB", ours=late, against="early", reference=early, times=round(1 / LIMIT, 2))
    report([row], out=out)


if __name__ == "__main__":
    typer.run(main)

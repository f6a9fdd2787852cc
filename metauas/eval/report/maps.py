"""The maps of an evaluation on disk, in the folders of their images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import Benchmark, Sample
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.selection import Prompt
from metauas.files.maps import write_map
from metauas.metrics.checks import Maps


class MapWriter:
    """Writes the maps of an evaluation as ``out/seed-1/<path of the image in the benchmark>.png``.

    Args:
        out: the folder; made when the first map is written.
        benchmark: the benchmark of the evaluation.

    Raises:
        InputError: two images differ in their suffix alone, so that their maps would have one name.
    """

    def __init__(self, out: str | Path, benchmark: Benchmark) -> None:
        self._out = Path(out)
        self._root = benchmark.root
        samples = [sample for category in benchmark.categories for sample in category.test]
        for name, count in Counter(map(self._name, samples)).items():
            if count > 1:
                raise InputError(f"{count} images would have the map {name}; rename them, or do without maps")

    def __call__(self, queries: Queries, _: Sequence[Prompt], seed: int, maps: Maps) -> None:
        """Write the maps (N, H, W) of all test images of a category, in their order."""
        for sample, values in zip(queries.category.test, maps, strict=True):
            write_map(self._out / f"seed-{seed}" / self._name(sample), values)

    def _name(self, sample: Sample) -> Path:
        return sample.path.relative_to(self._root).with_suffix(".png")

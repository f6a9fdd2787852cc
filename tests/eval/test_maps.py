from dataclasses import replace

import numpy as np
import pytest

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.report.maps import MapWriter
from metauas.files.maps import read_map
from metauas.seeding import rng_for


def test_maps_lie_as_their_images_do(tiny_benchmark, tmp_path):
    category = tiny_benchmark.categories[1]
    maps = rng_for(0, "maps").random((len(category.test), 16, 16))
    MapWriter(tmp_path / "maps", tiny_benchmark)(Queries(category, size=16), [], 3, maps)
    for sample, values in zip(category.test, maps, strict=True):
        path = tmp_path / "maps" / "seed-3" / sample.path.relative_to(tiny_benchmark.root)
        np.testing.assert_allclose(read_map(path), values, rtol=0, atol=1e-5)
    assert len(list((tmp_path / "maps").rglob("*.png"))) == len(category.test)


def test_maps_that_would_collide_are_refused_before_any_is_written(tiny_benchmark, tmp_path):
    category = tiny_benchmark.categories[0]
    twin = replace(category.test[0], path=category.test[0].path.with_suffix(".jpg"))
    double = replace(category, test=[*category.test, twin])
    with pytest.raises(InputError, match=r"2 images would have the map bottle/.*\.png; rename them"):
        MapWriter(tmp_path / "maps", Benchmark(name="x", root=tiny_benchmark.root, categories=[double]))
    assert not (tmp_path / "maps").exists()

import numpy as np
import pytest
import torch

from metauas.eval.benchmarks import queries as module
from metauas.eval.benchmarks.layouts import load_sample
from metauas.eval.benchmarks.queries import Queries, pieces

SIZE = 32
ONE_IMAGE = 3 * 4 * SIZE**2


@pytest.fixture(scope="module")
def bottle(tiny_benchmark):
    return tiny_benchmark.categories[0]


@pytest.fixture
def read(monkeypatch):
    """The files read since, in order, one entry each time."""
    files = []
    original = module.load_sample, module.stack_images
    monkeypatch.setattr(module, "load_sample", lambda s, size: files.append(s.path) or original[0](s, size))
    monkeypatch.setattr(module, "stack_images", lambda p, *, size: files.extend(p) or original[1](p, size=size))
    return files


def test_images_masks_and_labels_stand_in_the_order_of_the_samples(bottle):
    queries = Queries(bottle, size=SIZE)
    assert len(queries) == 5
    assert queries.labels.tolist() == [sample.label for sample in bottle.test]
    assert queries.labels.sum() == 3
    for index, sample in enumerate(bottle.test):
        image, mask = load_sample(sample, SIZE)
        assert torch.equal(queries.images([index])[0], image)
        assert np.array_equal(queries.masks[index], mask)
        assert mask.any() == sample.label


@pytest.mark.parametrize("kept", [0, 2, 5])
def test_memory_is_bounded_and_changes_nothing(bottle, read, kept):
    queries = Queries(bottle, size=SIZE, keep_bytes=kept * ONE_IMAGE + ONE_IMAGE // 2)
    assert sum(image.nbytes for image in queries._kept) == kept * ONE_IMAGE
    files = [sample.path for sample in bottle.test]
    assert read == files
    images = queries.images([4, 0, 3])
    assert read[5:] == [files[index] for index in (4, 0, 3) if index >= kept]
    assert torch.equal(images, Queries(bottle, size=SIZE).images([4, 0, 3]))


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_batches_cover_all_images_once(bottle, batch_size, sizes):
    queries = Queries(bottle, size=SIZE)
    batches = list(queries.batches(batch_size))
    assert [len(batch) for batch in batches] == sizes
    assert torch.equal(torch.cat(batches), queries.images(range(5)))


def test_pieces():
    assert list(pieces("abcde", 2)) == ["ab", "cd", "e"]
    assert list(pieces([], 2)) == []

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import Category
from metauas.eval.prompts.selection import NearestPrompts, most_similar, random_prompts, right_class_share
from metauas.files.images import stack_images, write_png

SIZE = 8
COLOURS = {"red": (255, 20, 20), "green": (20, 255, 20), "blue": (20, 20, 255)}


def mean_colour(images):
    return images.mean(dim=(2, 3))


@pytest.fixture
def pool(tmp_path):
    """Two categories: warm holds red and green, cool holds blue."""
    for name, colour in COLOURS.items():
        write_png(tmp_path / f"{name}.png", np.broadcast_to(np.uint8(colour), (SIZE, SIZE, 3)))
    return {"warm": [tmp_path / "red.png", tmp_path / "green.png"], "cool": [tmp_path / "blue.png"]}


@pytest.fixture
def category():
    return Category(name="bottle", train_good=[Path(f"{i}.png") for i in range(50)], test=[])


def test_random_prompt_depends_on_seed_and_name_alone(category):
    draws = [random_prompts(category, seed=seed) for seed in range(20)]
    assert draws == [random_prompts(category, seed=seed) for seed in range(20)]
    assert len(set(draws)) > 10
    assert {path for (path,) in draws} <= set(category.train_good)
    assert draws != [random_prompts(replace(category, name="cable"), seed=seed) for seed in range(20)]


def test_random_prompts_are_spread_evenly(category):
    few = replace(category, train_good=category.train_good[:4])
    draws = [random_prompts(few, seed=seed) for seed in range(400)]
    counts = [draws.count((path,)) for path in few.train_good]
    assert min(counts) > 60  # 100 expected, 8.7 is the standard deviation


def test_more_shots_add_other_images(category):
    for seed in range(10):
        few, many = (random_prompts(category, seed=seed, shots=shots) for shots in (3, 50))
        assert random_prompts(category, seed=seed) == few[:1]
        assert many[:3] == few
        assert sorted(many) == sorted(category.train_good)


def test_added_images_are_spread_evenly(category):
    few = replace(category, train_good=category.train_good[:4])
    seconds = [random_prompts(few, seed=seed, shots=2)[1] for seed in range(400)]
    assert min(seconds.count(path) for path in few.train_good) > 60  # as above


@pytest.mark.parametrize("shots", [0, 51])
def test_shots_that_there_are_no_images_for(category, shots):
    with pytest.raises(InputError, match=f"shots={shots}: category 'bottle' has 50 normal images.* from 1 to 50"):
        random_prompts(category, seed=1, shots=shots)


def test_random_prompt_of_an_empty_category(category):
    with pytest.raises(InputError, match="'bottle' has no normal image"):
        random_prompts(replace(category, train_good=[]), seed=1)


def test_nearest_of_all_and_of_the_own_category(pool):
    prompts = NearestPrompts(mean_colour, pool, size=SIZE)
    red, green, blue = (*pool["warm"], *pool["cool"])
    queries = stack_images([blue, green, red], size=SIZE)
    assert prompts.select(queries) == [(blue,), (green,), (red,)]
    assert prompts.select(queries, category="cool") == [(blue,)] * 3
    assert prompts.select(queries[1:], category="warm") == [(green,), (red,)]


def test_several_nearest_come_in_their_order(pool):
    prompts = NearestPrompts(mean_colour, pool, size=SIZE)
    red, green, blue = (*pool["warm"], *pool["cool"])
    (reddish,) = torch.tensor([[0.9, 0.1, 0.5]]).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE)
    assert prompts.select(reddish[None], shots=3) == [(red, blue, green)]
    assert prompts.select(reddish[None], category="warm", shots=2) == [(red, green)]
    with pytest.raises(InputError, match="shots=2: category 'cool' has 1 normal images"):
        prompts.select(reddish[None], category="cool", shots=2)


def test_of_equally_similar_ones_the_first_wins():
    pool = torch.eye(3)[[0, 1, 0, 2, 0]]
    assert most_similar(torch.eye(3), pool, count=3).tolist() == [[0, 2, 4], [1, 0, 2], [3, 0, 1]]


class Operations(TorchFunctionMode):
    """Notes every operation on tensors, and the bytes of what it returns."""

    def __init__(self):
        super().__init__()
        self.names, self.bytes = [], 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.__name__ != "__get__":  # attributes such as shape and T
            self.names.append(function.__name__)
            self.bytes += result.nbytes if isinstance(result, torch.Tensor) else 0
        return result


def test_choosing_among_ten_thousand_is_one_matrix_product():
    pool = torch.nn.functional.normalize(torch.randn(10_000, 256, generator=torch.Generator().manual_seed(0)), dim=1)
    queries = pool[[17, 9_999, 0, 4_242]]
    with Operations() as operations:
        chosen = most_similar(queries, pool, count=5)
    assert chosen[:, 0].tolist() == [17, 9_999, 0, 4_242]
    assert [name for name in operations.names if "mul" in name or name in ("mm", "bmm", "einsum")] == ["matmul"]
    assert operations.bytes < 16 * len(queries) * len(pool)  # a similarity and its rank; a copy of the pool is 1,024


def test_ten_thousand_images_are_embedded_into_one_tensor(monkeypatch):
    """Joining the batches in the end would hold all vectors twice."""
    vectors = torch.randn(10_000, 64, generator=torch.Generator().manual_seed(0))
    paths = [Path(f"{index}.png") for index in range(len(vectors))]

    def numbered(batch, *, size):
        return torch.tensor([float(path.stem) for path in batch]).view(-1, 1, 1, 1).expand(-1, 3, size, size)

    monkeypatch.setattr("metauas.eval.prompts.selection.stack_images", numbered)
    prompts = NearestPrompts(lambda images: vectors[images[:, 0, 0, 0].long()], {"all": paths}, size=1, batch_size=512)
    queries = torch.tensor([3.0, 9_999, 512]).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    assert prompts.select(queries) == [(paths[3],), (paths[9_999],), (paths[512],)]
    expected = torch.nn.functional.normalize(vectors, dim=1)
    torch.testing.assert_close(prompts._vectors, expected, rtol=0, atol=0)


def test_similarity_is_the_cosine(pool):
    def red_is_long(images):
        vectors = mean_colour(images)
        return torch.where(vectors.argmax(dim=1, keepdim=True) == 0, 1000 * vectors, vectors)

    # the plain product would choose red, whose vector is a thousand times as long as blue's
    prompts = NearestPrompts(red_is_long, pool, size=SIZE)
    assert prompts.select(stack_images(pool["cool"], size=SIZE)) == [tuple(pool["cool"])]


def test_pool_is_embedded_once_in_batches(pool):
    sizes = []

    def counted(images):
        sizes.append(len(images))
        return mean_colour(images)

    prompts = NearestPrompts(counted, pool, size=SIZE, batch_size=2)
    assert sizes == [2, 1]
    for _ in range(3):
        prompts.select(stack_images(pool["cool"], size=SIZE))
    assert sizes == [2, 1, 1, 1, 1]


def test_batch_size_changes_nothing(pool):
    queries = torch.rand((5, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    chosen = [NearestPrompts(mean_colour, pool, size=SIZE, batch_size=n).select(queries) for n in (1, 2, 32)]
    assert chosen[0] == chosen[1] == chosen[2]


def test_out_of_memory_smaller_batches_choose_the_same(pool):
    def embed(images):
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return mean_colour(images)

    query = stack_images(pool["cool"], size=SIZE)
    with pytest.warns(RuntimeWarning, match="going on with batch_size=1"):
        prompts = NearestPrompts(embed, pool, size=SIZE, batch_size=2)
    assert prompts.select(query) == NearestPrompts(mean_colour, pool, size=SIZE).select(query)


def test_no_gradient_is_kept(pool):
    layer = torch.nn.Linear(3, 4)
    prompts = NearestPrompts(lambda images: layer(mean_colour(images)), pool, size=SIZE)
    assert not prompts._vectors.requires_grad


def test_right_class_share(category):
    first, second = category.train_good[:2]
    other = Path("other.png")
    assert right_class_share([(first,), (second,), (other,), (first,)], category) == 0.75
    assert right_class_share([(first, second), (first, other)], category) == 0.75
    assert right_class_share([(first.absolute(),)], category) == 1
    with pytest.raises(InputError, match="no prompt was chosen for category 'bottle'"):
        right_class_share([], category)


def test_unknown_category_names_the_nearest(pool):
    prompts = NearestPrompts(mean_colour, pool, size=SIZE)
    queries = stack_images(pool["cool"], size=SIZE)
    with pytest.raises(InputError, match="category='warn' is not known, did you mean 'warm'"):
        prompts.select(queries, category="warn")


def test_empty_pools(pool):
    with pytest.raises(InputError, match="pool of prompts is empty"):
        NearestPrompts(mean_colour, {}, size=SIZE)
    with pytest.raises(InputError, match="no image of category 'cool'"):
        NearestPrompts(mean_colour, pool | {"cool": []}, size=SIZE)


def test_embeddings_that_are_not_finite(pool):
    with pytest.raises(InputError, match="not finite"):
        NearestPrompts(lambda images: mean_colour(images) * torch.nan, pool, size=SIZE)

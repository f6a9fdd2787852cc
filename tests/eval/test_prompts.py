from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval.layouts import Category
from metauas.eval.prompts import NearestPrompts, random_prompts
from metauas.images import stack_images, write_png

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
    assert set(draws) <= set(category.train_good)
    assert draws != [random_prompts(replace(category, name="cable"), seed=seed) for seed in range(20)]


def test_random_prompts_are_spread_evenly(category):
    few = replace(category, train_good=category.train_good[:4])
    draws = [random_prompts(few, seed=seed) for seed in range(400)]
    counts = [draws.count(path) for path in few.train_good]
    assert min(counts) > 60  # 100 expected, 8.7 is the standard deviation


def test_random_prompt_of_an_empty_category(category):
    with pytest.raises(InputError, match="'bottle' has no normal image"):
        random_prompts(replace(category, train_good=[]), seed=1)


def test_nearest_of_all_and_of_the_own_category(pool):
    prompts = NearestPrompts(mean_colour, pool, size=SIZE)
    red, green, blue = (*pool["warm"], *pool["cool"])
    queries = stack_images([blue, green, red], size=SIZE)
    assert prompts.select(queries) == [blue, green, red]
    assert prompts.select(queries, category="cool") == [blue, blue, blue]
    assert prompts.select(queries[1:], category="warm") == [green, red]


def test_similarity_is_the_cosine(pool):
    def red_is_long(images):
        vectors = mean_colour(images)
        return torch.where(vectors.argmax(dim=1, keepdim=True) == 0, 1000 * vectors, vectors)

    # the plain product would choose red, whose vector is a thousand times as long as blue's
    prompts = NearestPrompts(red_is_long, pool, size=SIZE)
    assert prompts.select(stack_images(pool["cool"], size=SIZE)) == pool["cool"]


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


def test_no_gradient_is_kept(pool):
    layer = torch.nn.Linear(3, 4)
    prompts = NearestPrompts(lambda images: layer(mean_colour(images)), pool, size=SIZE)
    assert not prompts._vectors.requires_grad


def test_right_class_share(pool):
    prompts = NearestPrompts(mean_colour, pool, size=SIZE)
    red, green, blue = (*pool["warm"], *pool["cool"])
    assert prompts.right_class_share([red, green, blue, red], category="warm") == 0.75
    assert prompts.right_class_share([red, green, blue, red], category="cool") == 0.25
    with pytest.raises(InputError, match="no prompt was chosen for category 'warm'"):
        prompts.right_class_share([], category="warm")


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

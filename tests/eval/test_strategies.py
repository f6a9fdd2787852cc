import json

import pytest
import torch

from metauas.errors import InputError
from metauas.eval import EvalSettings
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.selection import random_prompts
from metauas.eval.prompts.strategies import create_strategy
from metauas.files.images import stack_images

SIZE = 32


def mean_colour(images):
    return images.mean(dim=(2, 3))


def refuse(images):
    raise AssertionError("nothing may be embedded")


@pytest.fixture(scope="module")
def bottle(tiny_benchmark):
    return Queries(tiny_benchmark.categories[0], size=SIZE)


def create(benchmark, *, embed=mean_colour, **changes):
    return create_strategy(EvalSettings(size=SIZE, **changes), benchmark, embed=embed)


@pytest.mark.parametrize("shots", [1, 2])
def test_random_prompts_are_those_of_the_seed(tiny_benchmark, bottle, shots):
    seeds = (1, 3, 5, 7, 9, 11, 13)
    strategy = create(tiny_benchmark, seeds=seeds, shots=shots, embed=refuse)
    assert strategy.seeds == seeds
    chosen = {seed: strategy.choose(bottle, seed=seed) for seed in seeds}
    assert chosen == {seed: [random_prompts(bottle.category, seed=seed, shots=shots)] * 5 for seed in seeds}
    assert len({prompts[0] for prompts in chosen.values()}) == 2


@pytest.mark.parametrize("batch_size", [1, 2, 64])
@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("prompt", ["nearest", "pool"])
def test_similar_prompts_are_chosen_for_each_query(tiny_benchmark, bottle, prompt, shots, batch_size):
    strategy = create(tiny_benchmark, prompt=prompt, shots=shots, seeds=(1, 3, 5), queries_at_once=batch_size)
    assert strategy.seeds == (1,)
    categories = tiny_benchmark.categories if prompt == "pool" else [bottle.category]
    pool = [path for category in categories for path in category.train_good]
    vectors = torch.nn.functional.normalize(mean_colour(stack_images(pool, size=SIZE)), dim=1)
    queries = torch.nn.functional.normalize(mean_colour(bottle.images(range(5))), dim=1)
    best = (queries @ vectors.T).topk(shots, dim=1).indices.tolist()
    assert strategy.choose(bottle, seed=1) == [tuple(pool[index] for index in indices) for indices in best]


def lists(benchmark, *, number):
    """A one-prompt file that takes the same image of every category."""
    paths = {category.name: category.train_good[number] for category in benchmark.categories}
    return json.dumps({name: str(path.relative_to(benchmark.root)) for name, path in paths.items()})


def test_a_file_for_each_seed(tiny_benchmark, bottle, tmp_path):
    for seed, number in ((1, 0), (3, 1)):
        (tmp_path / f"oneprompt_seed{seed}.json").write_text(lists(tiny_benchmark, number=number))
    strategy = create(tiny_benchmark, prompt=f"{tmp_path}/oneprompt_seed{{seed}}.json", seeds=(1, 3), embed=refuse)
    assert strategy.seeds == (1, 3)
    for seed, number in ((1, 0), (3, 1)):
        assert strategy.choose(bottle, seed=seed) == [(bottle.category.train_good[number],)] * 5
    with pytest.raises(InputError, match=r"oneprompt_seed5\.json does not exist"):
        create(tiny_benchmark, prompt=f"{tmp_path}/oneprompt_seed{{seed}}.json", seeds=(1, 5))


def test_one_file_knows_no_seeds(tiny_benchmark, bottle, tmp_path):
    (tmp_path / "prompts.json").write_text(lists(tiny_benchmark, number=1))
    strategy = create(tiny_benchmark, prompt=str(tmp_path / "prompts.json"), seeds=(3, 5), embed=refuse)
    assert strategy.seeds == (3,)
    assert strategy.choose(bottle, seed=3) == [(bottle.category.train_good[1],)] * 5


@pytest.mark.parametrize(("prompt", "most"), [("random", 2), ("nearest", 2), ("pool", 4)])
def test_too_many_shots_are_refused_before_anything_is_embedded(tiny_benchmark, prompt, most):
    assert create(tiny_benchmark, prompt=prompt, shots=most).seeds
    with pytest.raises(InputError, match=f"shots={most + 1}: .* has {most} normal images; .* from 1 to {most}"):
        create(tiny_benchmark, prompt=prompt, shots=most + 1, embed=refuse)


@pytest.mark.parametrize("prompt", ["nearest", "pool"])
def test_a_smaller_pool_is_drawn_by_the_seed(tiny_benchmark, bottle, prompt):
    strategy = create(tiny_benchmark, prompt=prompt, pool_size=1, seeds=(1, 3, 5, 7))
    assert strategy.seeds == (1, 3, 5, 7)
    names = [category for category in tiny_benchmark.categories if prompt == "pool" or category is bottle.category]
    chosen = {seed: strategy.choose(bottle, seed=seed) for seed in strategy.seeds}
    for seed, prompts in chosen.items():
        assert set(prompts) <= {random_prompts(category, seed=seed) for category in names}
    assert len({prompts[0] for prompts in chosen.values()}) > 1
    everything = create(tiny_benchmark, prompt=prompt, pool_size=99, seeds=(1,))
    assert everything.choose(bottle, seed=1) == create(tiny_benchmark, prompt=prompt).choose(bottle, seed=1)
    with pytest.raises(InputError, match=r"shots=3: .* has [12] normal images"):
        create(tiny_benchmark, prompt=prompt, pool_size=1, shots=3)


def test_a_defective_prompt_is_never_its_own_query(tiny_benchmark, bottle):
    strategy = create(tiny_benchmark, prompt="defective", seeds=(1, 3, 5, 7), embed=refuse)
    tests = bottle.category.test
    drawn = set()
    for seed in strategy.seeds:
        prompts = [prompt[0] for prompt in strategy.choose(bottle, seed=seed)]
        assert all(prompt != sample.path for prompt, sample in zip(prompts, tests, strict=True))
        assert set(prompts) <= {sample.path for sample in tests if sample.label}
        assert len(set(prompts)) == 2, "one for all, and another for itself"
        drawn.add(prompts[0])
    assert len(drawn) > 1
    with pytest.raises(InputError, match="shots=2: a defective prompt is one image"):
        create(tiny_benchmark, prompt="defective", shots=2)


def test_out_of_memory_queries_are_embedded_in_smaller_batches(tiny_benchmark, bottle):
    def embed(images):
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return mean_colour(images)

    whole = create(tiny_benchmark, prompt="nearest", queries_at_once=4).choose(bottle, seed=1)
    strategy = create(tiny_benchmark, embed=embed, prompt="nearest", queries_at_once=4)
    with pytest.warns(RuntimeWarning, match="going on with batch_size=2"):
        assert strategy.choose(bottle, seed=1) == whole

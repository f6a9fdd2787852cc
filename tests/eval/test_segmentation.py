from pathlib import Path

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval.baselines import pixel_difference
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.prompts.conditions import Condition, turned, turned_prompt
from metauas.eval.segmentation import Method, baseline_method, network_method, read_prompt, segment_queries
from metauas.files.images import stack_images

SIZE = 32
AS_IT_IS = turned_prompt(0.0)


@pytest.fixture(scope="module")
def queries(tiny_benchmark):
    return Queries(tiny_benchmark.categories[0], size=SIZE)


@pytest.fixture(scope="module")
def normal(tiny_benchmark):
    """Four different normal images."""
    return [path for category in tiny_benchmark.categories for path in category.train_good]


class Recorder:
    """A method whose maps say what they were made of: the sum of a query, plus ten times that of its prompts."""

    def __init__(self):
        self.encoded, self.batches = [], []

    def method(self):
        return Method(name="recorder", encode=self.encode, segment=self.segment)

    def encode(self, prompts):
        self.encoded.append(tuple(prompts.shape[:2]))
        return prompts.sum(dim=(1, 2, 3, 4))

    def segment(self, queries, encoded):
        self.batches.append(len(queries))
        assert len(encoded) in (1, len(queries))
        values = queries.sum(dim=(1, 2, 3)) + 10 * encoded
        return values.view(-1, 1, 1, 1).expand(-1, 1, SIZE, SIZE)


def run(method, queries, prompts, *, batch_size=16, condition=AS_IT_IS):
    return segment_queries(method, queries, prompts, condition=condition, seed=1, batch_size=batch_size)


def plans(normal):
    a, b, c, d = normal
    return {
        "one for all": [(a,)] * 5,
        "almost one each": [(a,), (b,), (c,), (d,), (d,)],
        "mixed": [(a,), (b,), (a,), (c,), (a,)],
        "pairs": [(a, b), (b, a), (a, b), (c, d), (d, a)],
    }


@pytest.mark.parametrize("name", ["one for all", "almost one each", "mixed", "pairs"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_every_query_meets_its_prompt_and_no_prompt_is_encoded_twice(queries, normal, name, batch_size):
    prompts = plans(normal)[name]
    recorder = Recorder()
    maps = run(recorder.method(), queries, prompts, batch_size=batch_size)
    assert maps.shape == (5, SIZE, SIZE)
    assert maps.dtype == np.float32
    for index, prompt in enumerate(prompts):
        expected = queries.images([index]).sum() + 10 * stack_images(prompt, size=SIZE).sum()
        assert maps[index] == pytest.approx(float(expected), rel=1e-5)
    assert sum(count for count, _ in recorder.encoded) == len(set(prompts))
    assert {shots for _, shots in recorder.encoded} == {len(prompts[0])}
    assert max(recorder.batches) <= batch_size


def test_prompts_of_single_queries_go_through_together(queries, normal):
    recorder = Recorder()
    a, b, c, _ = normal
    run(recorder.method(), queries, [(a,), (b,), (a,), (c,), (a,)], batch_size=3)
    assert recorder.encoded == [(1, 1), (2, 1)]
    assert recorder.batches == [3, 2]


def test_a_prompt_is_encoded_once_for_all_batches(queries, normal, model, monkeypatch):
    calls = []
    original = model.encode_prompt
    monkeypatch.setattr(model, "encode_prompt", lambda prompt: calls.append(prompt.shape) or original(prompt))
    run(network_method(model), queries, [(normal[0],)] * 5, batch_size=1)
    assert calls == [(1, 3, SIZE, SIZE)]


@pytest.mark.parametrize("shots", [1, 3])
def test_the_network_gets_all_prompts_of_a_query(queries, normal, model, shots):
    prompt = tuple(normal[:shots])
    maps = run(network_method(model), queries, [prompt] * 5)
    images = stack_images(prompt, size=SIZE)
    expected = model.segment(queries.images(range(5)), images[None] if shots > 1 else images)[:, 0].numpy()
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-6)


def test_of_several_prompts_a_baseline_takes_the_mean_of_its_maps(queries, normal):
    prompts = tuple(normal[:3])
    maps = run(baseline_method("difference", pixel_difference), queries, [prompts] * 5, batch_size=2)
    images = queries.images(range(5))
    each = [pixel_difference(images, stack_images([path], size=SIZE))[:, 0].numpy() for path in prompts]
    np.testing.assert_allclose(maps, np.mean(each, axis=0), rtol=0, atol=1e-6)


def test_the_condition_changes_the_prompts_alone(queries, normal):
    recorder = Recorder()
    seen = []
    method = Method(name="recorder", encode=lambda i: seen.append(i) or recorder.encode(i), segment=recorder.segment)
    run(method, queries, [(normal[0], normal[1])] * 5, condition=turned_prompt(90.0))
    expected = turned(stack_images(normal[:2], size=SIZE), degrees=90.0)
    assert torch.equal(seen[0], expected[None])


def test_what_a_condition_draws_depends_on_names_alone(normal, tmp_path):
    noise = Condition("noise", lambda images, rng: images * 0 + float(rng.random()))

    def drawn(paths, *, category="bottle", seed=1, condition=noise):
        return float(read_prompt(tuple(paths), condition=condition, category=category, seed=seed, size=8).mean())

    first = drawn(normal[:1])
    copy = tmp_path / "elsewhere" / normal[0].parent.name / normal[0].name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(Path(normal[0]).read_bytes())
    assert drawn(normal[:1]) == drawn([copy]) == first
    other = Condition("other noise", noise.change)
    changed = [drawn(normal[1:2]), drawn(normal[:1], category="brick"), drawn(normal[:1], seed=3)]
    changed += [drawn(normal[:2]), drawn(normal[:1], condition=other)]
    assert len({first, *changed}) == 6


@pytest.mark.filterwarnings("ignore:out of memory:RuntimeWarning")
@pytest.mark.parametrize("plan", ["one for all", "almost one each", "mixed", "pairs"])
def test_out_of_memory_smaller_batches_give_the_same_maps(queries, normal, plan):
    class Small(Recorder):
        def segment(self, queries, encoded):
            if len(queries) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().segment(queries, encoded)

    small, prompts = Small(), plans(normal)[plan]
    found = run(small.method(), queries, prompts, batch_size=5)
    assert max(small.batches) <= 2
    np.testing.assert_allclose(found, run(Recorder().method(), queries, prompts), rtol=1e-6)


def test_out_of_memory_with_one_query_says_what_to_lower(queries, normal):
    def segment(queries, encoded):
        raise torch.OutOfMemoryError("CUDA out of memory")

    method = Method(name="large", encode=lambda prompts: prompts, segment=segment)
    with pytest.raises(InputError, match=rf"single image \(CUDA out of memory\); lower size={SIZE}"):
        run(method, queries, [(normal[0],)] * 5, batch_size=1)

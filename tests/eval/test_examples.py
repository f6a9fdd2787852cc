from dataclasses import replace

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval import draw_examples
from metauas.eval.benchmarks.layouts import load_sample
from metauas.eval.prompts.selection import random_prompts
from metauas.files.images import stack_images
from metauas.model import create_model


def draw(model, benchmark, *, seed=0, per_category=1):
    return draw_examples(model, benchmark, size=32, seed=seed, per_category=per_category)


def test_an_example_is_a_segmented_defect(model, tiny_benchmark):
    for category, example in zip(tiny_benchmark.categories, draw(model, tiny_benchmark), strict=True):
        (sample,) = [sample for sample in category.test if sample.path == example.path]
        query, mask = load_sample(sample, 32)
        prompt = stack_images(random_prompts(category, seed=0), size=32)
        assert sample.label
        assert example.title == f"{category.name}: {sample.defect}"
        assert torch.equal(example.query, query)
        assert torch.equal(example.prompt, prompt[0])
        assert np.array_equal(example.mask, mask)
        np.testing.assert_allclose(example.map, model.segment(query[None], prompt)[0, 0].numpy(), atol=1e-6)


def test_the_seed_decides(model, tiny_benchmark):
    paths = [tuple(example.path for example in draw(model, tiny_benchmark, seed=seed)) for seed in range(8)]
    assert paths == [tuple(example.path for example in draw(model, tiny_benchmark, seed=seed)) for seed in range(8)]
    assert len(set(paths)) > 2


def test_no_more_than_there_are(model, tiny_benchmark):
    examples = draw(model, tiny_benchmark, per_category=10)
    assert len(examples) == 2 * 3
    assert len({example.path for example in examples}) == len(examples)


def test_a_category_without_defects_has_no_example(model, tiny_benchmark):
    bottle, brick = tiny_benchmark.categories
    fine = replace(bottle, test=[sample for sample in bottle.test if not sample.label])
    (example,) = draw(model, replace(tiny_benchmark, categories=[fine, brick]))
    assert example.title.startswith("brick")


def test_training_mode_is_refused(tiny_benchmark):
    with pytest.raises(InputError, match="training mode"):
        draw(create_model("lite"), tiny_benchmark)

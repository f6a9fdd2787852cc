"""The mean over several image sizes."""

import pytest
import torch
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model import MetaUASPlus, ScaleAverage


def by_hand(model, queries, prompt, scales):
    """Logits at each size, enlarged and averaged."""
    found = []
    for scale in scales:
        size = [round(side * scale) for side in queries.shape[-2:]]
        small = [F.interpolate(x, size=size, mode="bilinear", antialias=True) for x in (queries, prompt)]
        logits = model.logits(*(small if scale != 1 else (queries, prompt)))
        found.append(F.interpolate(logits, size=queries.shape[-2:], mode="bilinear"))
    return torch.stack(found).mean(dim=0).sigmoid()


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.5), (1.0, 0.75, 0.5)])
@pytest.mark.parametrize("size", [(128, 128), (96, 130)])
def test_the_logits_of_all_sizes_are_averaged(lite, random_images, scales, size):
    queries, prompt = random_images(2, *size), random_images(1, *size, seed=1)
    averaged = ScaleAverage(lite, scales)
    with torch.no_grad():
        expected = by_hand(lite, queries, prompt, scales)
    torch.testing.assert_close(averaged.segment(queries, prompt), expected, rtol=0, atol=1e-6)
    encoded = averaged.encode_prompt(prompt)
    torch.testing.assert_close(averaged.segment(queries, encoded), expected, rtol=0, atol=1e-6)


def test_the_own_size_alone_is_the_network(lite, random_images):
    pair = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    assert torch.equal(ScaleAverage(lite, (1.0,)).segment(*pair), lite.segment(*pair))


def test_several_prompts(lite, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(6, 64, 64, seed=1).unflatten(0, (2, 3))
    averaged = ScaleAverage(lite, (1.0, 0.5))
    apart = [averaged.segment(q[None], p[None]) for q, p in zip(queries, prompts, strict=True)]
    torch.testing.assert_close(averaged.segment(queries, prompts), torch.cat(apart), rtol=0, atol=1e-5)


def test_the_visual_similarity_is_averaged_with_the_network(lite, random_images):
    queries, prompt = random_images(2, 128, 128), random_images(1, 128, 128, seed=1)
    plus = MetaUASPlus(lite)
    averaged = ScaleAverage(plus, (1.0, 0.5))
    assert averaged.label == "lite + visual similarity, 2 scales"
    expected = by_hand(plus, queries, prompt, (1.0, 0.5))
    torch.testing.assert_close(averaged.segment(queries, prompt), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(ScaleAverage(plus, (1.0,)).segment(queries, prompt), plus.segment(queries, prompt))


def test_it_takes_the_network_s_place(lite, random_images):
    averaged = ScaleAverage(lite)
    assert averaged.label == "lite, 3 scales"
    assert not averaged.training
    images = random_images(2, 64, 64)
    assert torch.equal(averaged.embed(images), lite.embed(images))


@pytest.mark.parametrize("scales", [(), (0.0,), (1.5,), (1.0, -0.5)])
def test_scales_that_are_not_possible(lite, scales):
    with pytest.raises(InputError, match=r"scales=.*above 0 and at most 1"):
        ScaleAverage(lite, scales)

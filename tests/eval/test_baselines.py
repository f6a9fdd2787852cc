import inspect

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from metauas.errors import InputError
from metauas.eval.baselines import BASELINES, nearest_features, pixel_difference, ssim_difference
from metauas.model import EncoderSimilarity

baselines = pytest.mark.parametrize("baseline", BASELINES.values(), ids=list(BASELINES))
pixelwise = pytest.mark.parametrize("baseline", [pixel_difference, ssim_difference])


def random_images(n, size=(32, 48), seed=0):
    return torch.rand((n, 3, *size), generator=torch.Generator().manual_seed(seed))


@baselines
def test_equal_images_give_an_empty_map(baseline):
    images = random_images(2)
    maps = baseline(images, images.clone())
    assert maps.shape == (2, 1, 32, 48)
    assert maps.dtype == torch.float32
    assert maps.abs().max() < 1e-6


@pixelwise
def test_maps_stay_in_the_unit_interval(baseline):
    white, noise = torch.ones(1, 3, 32, 48), random_images(1)
    for query in (white, noise, noise.round()):
        for prompt in (1 - query, torch.zeros_like(query)):
            maps = baseline(query, prompt)
            assert 0 <= maps.min() <= maps.max() <= 1
            assert maps.max() > 0.3


@pixelwise
def test_the_changed_part_stands_out(baseline):
    prompt = random_images(1, size=(64, 64))
    query = prompt.clone()
    query[..., 20:40, 30:50] = 1 - query[..., 20:40, 30:50]
    changed = baseline(query, prompt)[0, 0]
    assert changed[25:35, 35:45].min() > 3 * changed[:10].max()
    assert changed.argmax() in torch.arange(64 * 64).view(64, 64)[20:40, 30:50]


@baselines
def test_one_prompt_serves_all_queries(baseline):
    queries, prompt = random_images(3), random_images(1, seed=1)
    together = baseline(queries, prompt)
    one_by_one = torch.cat([baseline(query[None], prompt) for query in queries])
    repeated = baseline(queries, prompt.repeat(3, 1, 1, 1))
    rounding = 1e-6 if baseline is nearest_features else 0  # of an encoder, by its batch
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=rounding)
    torch.testing.assert_close(together, repeated, rtol=0, atol=rounding)


@baselines
def test_query_and_prompt_are_left_as_they_were(baseline):
    queries, prompt = random_images(2), random_images(1, seed=1)
    before = queries.clone(), prompt.clone()
    baseline(queries, prompt)
    assert torch.equal(queries, before[0])
    assert torch.equal(prompt, before[1])


@pixelwise
def test_prompts_that_do_not_fit(baseline):
    with pytest.raises(InputError, match="2 prompts for 3 queries"):
        baseline(random_images(3), random_images(2))
    with pytest.raises(InputError, match=r"prompt is \(16, 16\), queries are \(32, 48\)"):
        inspect.unwrap(baseline)(random_images(3), random_images(1, size=(16, 16)))


def test_blur_is_two_percent_of_the_shorter_side():
    query = torch.zeros(1, 3, 200, 300)
    query[..., 100, 150] = 1
    row = pixel_difference(query, torch.zeros_like(query))[0, 0, 100].double().numpy()
    offsets = np.arange(300) - 150
    assert (row * offsets**2).sum() / row.sum() == pytest.approx(4.0**2, rel=0.01)  # variance in pixels²
    assert row.sum() * row.sum() / row.max() == pytest.approx(1.0, rel=0.01)  # separable, of mass one


def test_ssim_is_that_of_scikit_image():
    query, prompt = random_images(1), random_images(1, seed=1)
    _, similarity = structural_similarity(query[0].numpy(), prompt[0].numpy(), channel_axis=0, data_range=1, full=True)
    found = ssim_difference(query, prompt)[0, 0].numpy()
    np.testing.assert_allclose(found, (1 - similarity.mean(axis=0)) / 2, atol=1e-6)


def test_ssim_needs_its_window():
    tiny = random_images(1, size=(6, 20))
    with pytest.raises(InputError, match=r"SSIM needs 7 × 7 pixels, got \(6, 20\)"):
        ssim_difference(tiny, tiny)


def test_nearest_features_are_the_similarity_of_the_frozen_encoder():
    query, prompt = random_images(2, size=(64, 64)), random_images(1, size=(64, 64), seed=1)
    found = nearest_features(query, prompt)
    torch.testing.assert_close(found, EncoderSimilarity().segment(query, prompt), rtol=0, atol=1e-6)
    assert 0 <= found.min() < found.max() <= 1
    with pytest.raises(InputError, match="2 prompts for 3 queries"):
        nearest_features(random_images(3), random_images(2))

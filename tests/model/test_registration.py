"""The prompt is found to lie as it was laid."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F

from metauas.images import resize_images, to_tensor
from metauas.model import load_checkpoint
from metauas.model.registration import _solve, lay, likeness, register


def photograph(height, width):
    return resize_images(to_tensor(data.astronaut())[None], (height, width))


def posed(images, *, turn, scale=1.0, shift=(0.0, 0.0)):
    """The images turned by degrees, scaled and shifted by shares of half a side, and the transform that does so."""
    height, width = images.shape[-2:]
    cos, sin = (f(math.radians(turn)) / scale for f in (math.cos, math.sin))
    x, y = -shift[0], -shift[1]
    rows = torch.tensor([[cos, -sin * height / width], [sin * width / height, cos]])
    rows = torch.cat([rows, rows @ torch.tensor([[x], [y]])], dim=1)[None]
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False), rows


def pixels_off(found, expected, *, like):
    """The largest distance in pixels between where two transforms send the middle half of an image."""
    corners = torch.tensor([[x, y, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]).T
    half = torch.tensor(like.shape[-1:-3:-1]) / 2
    return float((((found - expected) @ corners) * half[:, None]).norm(dim=1).max())


@pytest.mark.parametrize("size", [(256, 256), (160, 240), (90, 70)])
@pytest.mark.parametrize(
    ("turn", "scale", "shift"),
    [(0.0, 1.0, (0.0, 0.0)), (7.0, 1.03, (0.05, -0.08)), (-133.0, 0.96, (0.1, 0.06)), (180.0, 1.05, (-0.07, 0.0))],
)
def test_a_turned_scaled_and_shifted_item_is_found(size, turn, scale, shift):
    prompt = photograph(*size)
    query, expected = posed(prompt, turn=turn, scale=scale, shift=shift)
    assert pixels_off(register(query, prompt), expected, like=query) < 1


def test_the_light_does_not_matter():
    prompt = photograph(128, 128)
    query, expected = posed(prompt, turn=40.0)
    slope = torch.linspace(0.6, 1.0, 128)
    assert pixels_off(register(query * slope * 0.8, prompt), expected, like=query) < 1


def test_a_prompt_of_another_size_shows_the_same_field():
    prompt = photograph(192, 192)
    query, expected = posed(prompt, turn=25.0, shift=(0.05, 0.1))
    assert pixels_off(register(query, resize_images(prompt, (120, 120))), expected, like=query) < 1.5


def test_queries_do_not_know_of_each_other():
    prompt = photograph(96, 96).expand(3, -1, -1, -1)
    queries = torch.cat([posed(prompt[:1], turn=turn)[0] for turn in (10.0, 100.0, 200.0)])
    alone = torch.cat([register(queries[k : k + 1], prompt[:1]) for k in range(3)])
    torch.testing.assert_close(register(queries, prompt), alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("query", [torch.zeros(1, 3, 64, 64), torch.rand(1, 3, 64, 64), torch.ones(1, 3, 33, 40) / 2])
def test_what_is_not_alike_still_gives_a_transform(query):
    for prompt in (torch.zeros(1, 3, 64, 64), photograph(64, 64)):
        found = register(query, prompt)
        assert torch.isfinite(found).all()
        assert found[..., :2].det().abs().sub(1).abs() < 0.6


def test_a_laid_prompt_is_the_query_wherever_it_reaches():
    prompt = photograph(128, 128)
    query, _ = posed(prompt, turn=30.0, shift=(0.2, 0.0))
    laid, worth = lay(prompt, query)
    assert 0.5 < float(worth.mean()) < 0.95
    assert float(((laid - query).abs() * worth).mean()) < 0.02
    beyond = laid[0, :, 0, 0], query[0, :, 0, 0]
    assert float(worth[0, 0, 0, 0]) == 0
    torch.testing.assert_close(*beyond)


def test_of_several_prompts_each_is_laid_and_the_least_worth_counts():
    query = photograph(96, 96)
    prompts = torch.stack([posed(query, turn=turn, shift=(0.15, 0.0))[0] for turn in (20.0, 90.0)], dim=1)
    laid, worth = lay(prompts, query)
    alone = [lay(prompt, query) for prompt in prompts.unbind(1)]
    torch.testing.assert_close(laid, torch.stack([one for one, _ in alone], dim=1))
    torch.testing.assert_close(worth, torch.minimum(alone[0][1], alone[1][1]))


def test_what_lies_alike_is_worth_all_and_what_does_not_little():
    torch.manual_seed(0)
    prompt, noise = photograph(96, 96), torch.rand(1, 3, 96, 96)
    query, _ = posed(prompt, turn=40.0)
    laid, worth = lay(prompt, query)
    assert float(likeness(laid, query)) > 0.8
    assert float(worth.max()) == 1
    laid, worth = lay(noise, query)
    assert float(likeness(laid, query)) < 0.2
    assert float(worth.max()) < 0.3


def test_what_is_alike_in_part_is_worth_a_part():
    torch.manual_seed(0)
    query = photograph(96, 96)
    worths = [float(lay(query + strength * torch.rand_like(query), query)[1].max()) for strength in (0, 2, 4, 8, 64)]
    assert worths == sorted(worths, reverse=True)
    assert worths[0] == 1
    assert worths[-1] < 0.5
    assert any(0 < worth < 1 for worth in worths)


def test_half_precision_is_registered_like_single():
    prompt = photograph(64, 64)
    query, _ = posed(prompt, turn=50.0)
    laid, worth = lay(prompt.bfloat16(), query)
    assert (laid.dtype, worth.dtype) == (torch.bfloat16, torch.float32)
    assert float(((laid.float() - query).abs() * worth).mean()) < 0.03


def test_conjugate_gradients_solve_the_damped_equations():
    root = np.random.default_rng(0).normal(size=(2, 6, 8))
    matrix, right = root @ root.transpose(0, 2, 1), np.random.default_rng(1).normal(size=(2, 6))
    damped = matrix + 0.05 * np.stack([np.diag(np.diag(one)) for one in matrix])
    expected = np.linalg.solve(damped, right[..., None])[..., 0]
    found = _solve(torch.from_numpy(matrix), torch.from_numpy(right))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_places_stay_exact_under_autocast():
    model = load_checkpoint("nano")
    query, prompt = torch.rand(2, 1, 3, 128, 128, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = lay(prompt, query)
        near = model.alignments[0](*(model.encode(images)[1] for images in (query, prompt)), near=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = lay(prompt, query)
            seen = model.alignments[0](*(model.encode(images)[1] for images in (query, prompt)), near=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert (seen.float() - near).abs().mean() < 0.03 * near.abs().mean()

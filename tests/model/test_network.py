import pytest
import torch
from torch import nn

from metauas.errors import InputError
from metauas.model import ALIGNMENTS, create_model
from metauas.model.network import padded

SIZES = [(96, 96), (64, 96), (50, 75)]  # the last is not divided by the encoder's stride of 32


def norms(module):
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def changed_norms(model, images):
    """Return whether one pass in training mode moved the statistics of any batch norm of (encoder, decoder)."""
    model.train()
    parts = [norms(model.encoder), norms(model.decoder)]
    before = [[norm.running_mean.clone() for norm in part] for part in parts]
    model(images, images.flip(0))
    return tuple(
        any(not torch.equal(norm.running_mean, old) for norm, old in zip(part, olds, strict=True))
        for part, olds in zip(parts, before, strict=True)
    )


@pytest.fixture
def small_b4():
    """The paper's network with a small frozen encoder, to be changed by a test."""
    torch.manual_seed(0)
    return create_model("b4", encoder="test_efficientnet", encoder_weights="random")


def test_b4_has_the_papers_parameters(b4):
    counts = [(p.numel(), p.requires_grad) for p in b4.parameters()]
    assert sum(n for n, _ in counts) == 22_130_305
    assert sum(n for n, trains in counts if trains) == 4_581_689
    assert not any(p.requires_grad for p in b4.encoder.parameters())


def test_a_frozen_encoder_stays_as_it_is(small_b4, random_images):
    assert changed_norms(small_b4, random_images(2, 64, 64)) == (False, True)
    assert small_b4.training
    assert not any(module.training for module in small_b4.encoder.modules())


def test_a_learning_encoder_does_not(random_images):
    assert changed_norms(create_model("lite", freeze_encoder=False), random_images(2, 64, 64)) == (True, True)


def test_a_frozen_encoder_takes_no_gradient(small_b4, random_images):
    small_b4.train()
    images = random_images(2, 64, 64)
    assert not any(feature.requires_grad for feature in small_b4.encode(images))
    small_b4.logits(images, images.flip(0)).sum().backward()
    assert all(p.grad is None for p in small_b4.encoder.parameters())
    assert all(p.grad is not None for p in small_b4.decoder.parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preset", ["b4", "lite"])
def test_the_map_has_the_querys_size_and_is_a_probability(request, random_images, preset, size):
    maps = request.getfixturevalue(preset).segment(random_images(2, *size), random_images(1, *size, seed=1))
    assert maps.shape == (2, 1, *size)
    assert maps.dtype == torch.float32
    assert 0 <= maps.min() < maps.max() - 0.1 < maps.max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_padding_repeats_the_border(random_images, size):
    height, width = size
    found = padded(random_images(1, *size), divisor=32)
    assert all(side % 32 == 0 for side in found.shape[-2:])
    rows, columns = (torch.arange(side) for side in found.shape[-2:])
    expected = random_images(1, *size)[..., rows.clamp(max=height - 1), :][..., columns.clamp(max=width - 1)]
    assert torch.equal(found, expected)


@pytest.mark.parametrize("alignment", ["soft", "hard"])
def test_the_prompt_may_have_another_size(random_images, alignment):
    model = create_model("lite", alignment=alignment).eval()
    assert model.segment(random_images(2, 64, 96), random_images(1, 96, 50)).shape == (2, 1, 64, 96)


def test_without_alignment_it_may_not(random_images):
    model = create_model("lite", alignment="none").eval()
    with pytest.raises(InputError, match="give the prompt the query's size"):
        model.segment(random_images(2, 64, 96), random_images(1, 96, 64))


@pytest.mark.parametrize("preset", ["b4", "lite"])
def test_one_prompt_serves_all_queries(request, random_images, preset):
    model = request.getfixturevalue(preset)
    queries, prompt = random_images(3, 64, 64), random_images(1, 64, 64, seed=1)
    once = model.segment(queries, prompt)
    repeated = model.segment(queries, prompt.repeat(3, 1, 1, 1))
    torch.testing.assert_close(once, repeated, rtol=0, atol=1e-5)
    one_by_one = torch.cat([model.segment(query[None], prompt) for query in queries])
    torch.testing.assert_close(once, one_by_one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["b4", "lite"])
def test_an_encoded_prompt_gives_the_same_map(request, random_images, preset):
    model = request.getfixturevalue(preset)
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    encoded = model.encode_prompt(prompt)
    with torch.no_grad():
        expected = model(queries, prompt)
    torch.testing.assert_close(model.segment(queries, encoded), expected, rtol=0, atol=1e-6)
    assert not any(feature.requires_grad for feature in encoded)


def test_the_map_is_the_sigmoid_of_the_logits(lite, random_images):
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    assert torch.equal(lite(queries, prompt), lite.logits(queries, prompt).sigmoid())


def test_the_prompt_matters(lite, random_images):
    query = random_images(1, 64, 64)
    maps = [lite.segment(query, random_images(1, 64, 64, seed=seed)) for seed in (1, 2)]
    assert not torch.allclose(*maps, atol=1e-4)


def test_each_query_has_its_own_prompt(lite, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(2, 64, 64, seed=1)
    together = lite.segment(queries, prompts)
    alone = torch.cat([lite.segment(q[None], p[None]) for q, p in zip(queries, prompts, strict=True)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert not torch.allclose(together, lite.segment(queries, prompts.flip(0)), atol=1e-4)


@pytest.mark.parametrize("prompts", [2, 4])
def test_neither_one_prompt_nor_one_each(lite, random_images, prompts):
    with pytest.raises(InputError, match=f"{prompts} prompts for 3 queries; give one prompt, or one for each query"):
        lite.segment(random_images(3, 64, 64), random_images(prompts, 64, 64))


def test_embeddings_are_unit_vectors_that_tell_images_apart(lite, random_images):
    images = random_images(3, 64, 64)
    vectors = lite.embed(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    again = lite.embed(images[[2, 0, 1]])
    assert (again @ vectors.T).argmax(dim=1).tolist() == [2, 0, 1]


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_only_what_chooses_one_position_does_not_learn(alignment):
    model = create_model("lite", alignment=alignment)
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    chooses = {name for name, _ in model.named_parameters() if name.startswith("alignments.")}
    assert {name for name in fixed if not name.startswith("encoder.")} == (chooses if alignment == "hard" else set())


def test_several_prompts_average_their_aligned_features(lite, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(3, 64, 64, seed=1)
    encoded = [lite.encode_prompt(prompt[None]) for prompt in prompts]
    features = list(lite.encode(queries))
    first = len(features) - len(lite.alignments)
    for stage, align in enumerate(lite.alignments, start=first):
        mean = sum(align(features[stage], one[stage].expand(2, -1, -1, -1)) for one in encoded) / 3
        bank = lite.fusion.bank(torch.cat([one[stage] for one in encoded])[None])
        features[stage] = lite.fusion(features[stage], mean, bank)
    expected = lite.decoder(features).sigmoid()
    torch.testing.assert_close(lite.segment(queries, prompts[None]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["b4", "lite"])
def test_the_same_prompt_several_times_is_that_prompt(request, random_images, preset):
    model = request.getfixturevalue(preset)
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    several = model.encode_prompt(prompt[:, None].repeat(2, 3, 1, 1, 1))
    torch.testing.assert_close(model.segment(queries, several), model.segment(queries, prompt), rtol=0, atol=1e-5)


def test_each_query_may_have_several_prompts_of_its_own(lite, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(6, 64, 64, seed=1).unflatten(0, (2, 3))
    together = lite.segment(queries, prompts)
    apart = torch.cat([lite.segment(q[None], p[None]) for q, p in zip(queries, prompts, strict=True)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    assert (together - lite.segment(queries, prompts[:, 0])).abs().max() > 1e-4


def test_large_batches_are_taken_in_parts_on_a_cpu(lite, random_images, monkeypatch):
    queries, prompts = random_images(5, 64, 96), random_images(5, 64, 96, seed=1)
    whole = [lite.segment(queries, prompt) for prompt in (prompts, prompts[:1], prompts[None])]
    monkeypatch.setattr("metauas.model.network._PIXELS_AT_ONCE", 2 * 64 * 96)
    parts = [lite.segment(queries, prompt) for prompt in (prompts, prompts[:1], prompts[None])]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="3 prompts for 5 queries"):
        lite.segment(queries, prompts[:3])


def test_no_queries_have_no_maps(lite, random_images):
    assert lite.segment(random_images(2, 64, 64)[:0], random_images(1, 64, 64)).shape == (0, 1, 64, 64)

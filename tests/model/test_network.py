import pytest
import torch
from torch import nn
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model import ALIGNMENTS, create_model
from metauas.model.registration import lay
from metauas.model.views import VIEWS, View, divisible

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
    assert changed_norms(create_model("nano"), random_images(2, 64, 64)) == (True, True)


def test_a_frozen_encoder_takes_no_gradient(small_b4, random_images):
    small_b4.train()
    images = random_images(2, 64, 64)
    assert not any(feature.requires_grad for feature in small_b4.encode(images))
    small_b4.logits(images, images.flip(0)).sum().backward()
    assert all(p.grad is None for p in small_b4.encoder.parameters())
    assert all(p.grad is not None for p in small_b4.decoder.parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preset", ["b4", "nano"])
def test_the_map_has_the_querys_size_and_is_a_probability(request, random_images, preset, size):
    maps = request.getfixturevalue(preset).segment(random_images(2, *size), random_images(1, *size, seed=1))
    assert maps.shape == (2, 1, *size)
    assert maps.dtype == torch.float32
    assert 0 <= maps.min() < maps.max() - 0.1 < maps.max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_padding_repeats_the_border(random_images, size):
    height, width = size
    padded = divisible(random_images(1, *size), 32)
    assert all(side % 32 == 0 for side in padded.shape[-2:])
    rows, columns = (torch.arange(side) for side in padded.shape[-2:])
    expected = random_images(1, *size)[..., rows.clamp(max=height - 1), :][..., columns.clamp(max=width - 1)]
    assert torch.equal(padded, expected)


@pytest.mark.parametrize("alignment", ["soft", "hard"])
def test_the_prompt_may_have_another_size(random_images, alignment):
    model = create_model("nano", alignment=alignment).eval()
    assert model.segment(random_images(2, 64, 96), random_images(1, 96, 50)).shape == (2, 1, 64, 96)


def test_without_alignment_it_may_not(random_images):
    model = create_model("nano", alignment="none").eval()
    with pytest.raises(InputError, match="give the prompt the query's size"):
        model.segment(random_images(2, 64, 96), random_images(1, 96, 64))


@pytest.mark.parametrize("preset", ["b4", "nano"])
def test_one_prompt_serves_all_queries(request, random_images, preset):
    model = request.getfixturevalue(preset)
    queries, prompt = random_images(3, 64, 64), random_images(1, 64, 64, seed=1)
    once = model.segment(queries, prompt)
    repeated = model.segment(queries, prompt.repeat(3, 1, 1, 1))
    torch.testing.assert_close(once, repeated, rtol=0, atol=1e-5)
    one_by_one = torch.cat([model.segment(query[None], prompt) for query in queries])
    torch.testing.assert_close(once, one_by_one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["b4", "nano"])
def test_an_encoded_prompt_gives_the_same_map(request, random_images, preset):
    model = request.getfixturevalue(preset)
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    encoded = model.encode_prompt(prompt)
    with torch.no_grad():
        expected = model(queries, prompt)
    torch.testing.assert_close(model.segment(queries, encoded), expected, rtol=0, atol=1e-6)
    assert not any(feature.requires_grad for feature in encoded)


def test_the_map_is_the_sigmoid_of_the_logits(nano, random_images):
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    assert torch.equal(nano(queries, prompt), nano.logits(queries, prompt).sigmoid())


def test_the_prompt_matters(nano, random_images):
    query = random_images(1, 64, 64)
    maps = [nano.segment(query, random_images(1, 64, 64, seed=seed)) for seed in (1, 2)]
    assert not torch.allclose(*maps, atol=1e-4)


def test_each_query_has_its_own_prompt(nano, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(2, 64, 64, seed=1)
    together = nano.segment(queries, prompts)
    alone = torch.cat([nano.segment(q[None], p[None]) for q, p in zip(queries, prompts, strict=True)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert not torch.allclose(together, nano.segment(queries, prompts.flip(0)), atol=1e-4)


@pytest.mark.parametrize("prompts", [2, 4])
def test_neither_one_prompt_nor_one_each(nano, random_images, prompts):
    with pytest.raises(InputError, match=f"{prompts} prompts for 3 queries; give one prompt, or one for each query"):
        nano.segment(random_images(3, 64, 64), random_images(prompts, 64, 64))


def test_embeddings_are_unit_vectors_that_tell_images_apart(nano, random_images):
    images = random_images(3, 64, 64)
    vectors = nano.embed(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    again = nano.embed(images[[2, 0, 1]])
    assert (again @ vectors.T).argmax(dim=1).tolist() == [2, 0, 1]


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_only_what_chooses_one_position_does_not_learn(alignment):
    model = create_model("nano", alignment=alignment)
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    chooses = {name for name, _ in model.named_parameters() if name.startswith("alignments.")}
    assert fixed == (chooses if alignment == "hard" else set())


def test_several_prompts_average_their_aligned_features(nano, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(3, 64, 64, seed=1)
    encoded = [nano.encode_prompt(prompt[None]) for prompt in prompts]
    features = list(nano.encode(queries))
    first = len(features) - len(nano.alignments)
    for stage, align in enumerate(nano.alignments, start=first):
        mean = sum(align(features[stage], one[stage].expand(2, -1, -1, -1)) for one in encoded) / 3
        features[stage] = nano.fusion(features[stage], mean, mean)
    expected = nano.decoder(features).sigmoid()
    torch.testing.assert_close(nano.segment(queries, prompts[None]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["b4", "nano"])
def test_the_same_prompt_several_times_is_that_prompt(request, random_images, preset):
    model = request.getfixturevalue(preset)
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    several = model.encode_prompt(prompt[:, None].repeat(2, 3, 1, 1, 1))
    torch.testing.assert_close(model.segment(queries, several), model.segment(queries, prompt), rtol=0, atol=1e-5)


def test_each_query_may_have_several_prompts_of_its_own(nano, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(6, 64, 64, seed=1).unflatten(0, (2, 3))
    together = nano.segment(queries, prompts)
    apart = torch.cat([nano.segment(q[None], p[None]) for q, p in zip(queries, prompts, strict=True)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    assert (together - nano.segment(queries, prompts[:, 0])).abs().max() > 1e-4


def test_large_batches_are_taken_in_parts_on_a_cpu(nano, random_images, monkeypatch):
    queries, prompts = random_images(5, 64, 96), random_images(5, 64, 96, seed=1)
    whole = [nano.segment(queries, prompt) for prompt in (prompts, prompts[:1], prompts[None])]
    monkeypatch.setattr("metauas.model.network._PIXELS_AT_ONCE", 2 * 64 * 96)
    parts = [nano.segment(queries, prompt) for prompt in (prompts, prompts[:1], prompts[None])]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="3 prompts for 5 queries"):
        nano.segment(queries, prompts[:3])


@pytest.mark.parametrize("size", [(64, 64), (65, 71)])
def test_the_logits_of_all_reductions_are_averaged(random_images, size):
    torch.manual_seed(0)
    several = create_model("nano", reductions=(1, 2, 4)).eval()  # a quarter of these images would be too small
    single = create_model("nano").eval()
    single.load_state_dict(several.state_dict())
    queries, prompt = random_images(2, *size), random_images(1, *size, seed=1)
    odd = [-side % 2 for side in size]
    halved = [F.avg_pool2d(F.pad(images, (0, odd[1], 0, odd[0]), mode="replicate"), 2) for images in (queries, prompt)]
    coarse = F.interpolate(single.logits(*halved), scale_factor=2, mode="bilinear")[..., : size[0], : size[1]]
    expected = (single.logits(queries, prompt) + coarse) / 2
    torch.testing.assert_close(several.logits(queries, prompt), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(several(queries, prompt), expected.sigmoid(), rtol=0, atol=1e-6)
    encoded = several.encode_prompt(prompt)
    torch.testing.assert_close(several.segment(queries, encoded), expected.sigmoid(), rtol=0, atol=1e-6)


def test_what_a_small_prompt_has_no_room_for_is_left_out(random_images):
    torch.manual_seed(0)
    several = create_model("nano", reductions=(1, 2)).eval()
    single = create_model("nano").eval()
    single.load_state_dict(several.state_dict())
    query, small = random_images(1, 64, 64), random_images(1, 48, 48, seed=1)
    torch.testing.assert_close(several(query, small), single(query, small), rtol=0, atol=1e-6)
    assert len(several.encode_prompt(small)) == len(single.encode_prompt(small))


def views_by_hand(model, queries, prompt, *, centred=()):
    """The mean of the logits of four mirror images, some of them centred."""

    def seen(images, dims):
        shown = images - images.mean(dim=(2, 3), keepdim=True) + 0.45 if dims in centred else images
        return shown.flip(dims)

    flips = ((), (-1,), (-2,), (-2, -1))
    return torch.stack([model.logits(seen(queries, d), seen(prompt, d)).flip(d) for d in flips]).mean(dim=0)


@pytest.mark.parametrize("reductions", [(1,), (1, 2)])
@pytest.mark.parametrize(("views", "centred"), [("mirrored", ()), ("mirrored-centred", ((-1,), (-2,)))])
def test_the_logits_of_all_views_are_averaged_in_use_but_not_in_training(random_images, reductions, views, centred):
    torch.manual_seed(0)
    several = create_model("nano", reductions=reductions, views=views).eval()
    plain = create_model("nano", reductions=reductions).eval()
    plain.load_state_dict(several.state_dict())
    queries, prompt = random_images(2, 65, 71), random_images(1, 65, 71, seed=1)
    expected = views_by_hand(plain, queries, prompt, centred=centred)
    torch.testing.assert_close(several.logits(queries, prompt), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(several.segment(queries, prompt), expected.sigmoid(), rtol=0, atol=1e-6)
    learning, still = several.train().logits(queries, prompt), plain.train().logits(queries, prompt)
    torch.testing.assert_close(learning, still, rtol=0, atol=1e-5)


def test_a_mirrored_item_gives_a_mirrored_map(random_images):
    torch.manual_seed(0)
    model = create_model("nano", views="mirrored").eval()
    query, prompt = random_images(1, 64, 96), random_images(1, 64, 96, seed=1)
    turned = model(query.flip(-1), prompt.flip(-1)).flip(-1)
    torch.testing.assert_close(turned, model(query, prompt), rtol=0, atol=1e-6)


def test_the_view_of_a_prompt_in_other_light_is_the_same_once_centred(random_images):
    images = random_images(1, 64, 96) / 2
    view = View(reduction=2, mirrored=(-1,), centred=True)
    torch.testing.assert_close(view.of(images + 0.2), view.of(images), rtol=0, atol=1e-6)
    assert view.suffix == "_reduced2_mirrored_x_centred"


@pytest.mark.parametrize(("size", "several_prompts"), [((65, 71), False), ((64, 64), True)])
def test_near_views_see_the_prompt_laid_on_the_query_and_count_what_it_is_worth(random_images, size, several_prompts):
    torch.manual_seed(0)
    model = create_model("nano", views="registered").eval()
    scene = F.interpolate(random_images(1, 12, 12), size=(96, 96), mode="bicubic").clamp(0, 1)
    first, second, prompt, another = (scene[..., k : k + size[0], k : k + size[1]] for k in (0, 9, 4, 7))
    queries = torch.cat([first, second])
    if several_prompts:
        prompt = torch.stack([prompt, another], dim=1)
    laid, worth = lay(prompt.expand(2, *prompt.shape[1:]), queries)
    total, weight = torch.zeros(2, 1, *size), torch.zeros(2, 1, *size)
    for view in VIEWS["registered"]:
        seen = model.encode(laid if view.near else prompt.expand_as(laid), view=view)
        counts = worth if view.near else torch.ones_like(worth)
        total, weight = total + counts * model._decode(queries, seen, view=view), weight + counts
    assert 0 < float(worth.mean()) < 1
    torch.testing.assert_close(model.logits(queries, prompt), total / weight, rtol=0, atol=1e-4)
    encoded = model.encode_prompt(prompt)
    torch.testing.assert_close(model.segment(queries, encoded), (total / weight).sigmoid(), rtol=0, atol=1e-5)


def test_a_part_that_is_missing_is_seen_where_the_prompt_has_ground_elsewhere():
    """Untrained features: aligned anywhere the gap finds its like, aligned nearby it does not."""
    prompt = torch.full((1, 3, 128, 128), 0.2)
    query = prompt.clone()
    for rows, columns, level in (((24, 64), (24, 64), 0.9), ((76, 100), (40, 104), 0.7), ((20, 44), (84, 92), 0.6)):
        prompt[..., slice(*rows), slice(*columns)] = level
        query[..., slice(*rows), slice(*columns)] = 0.2 if level == 0.9 else level
    torch.manual_seed(0)
    model = create_model("nano", alignment="soft").eval()
    features, shown = model.encode(query)[2].detach(), model.encode(lay(prompt, query)[0])[2].detach()
    aligned = [model.alignments[1](features, shown, near=near) for near in (False, True)]
    # the last three channels are the image itself, and 5, 5 is amid the gap at stride 8
    free, near = (float((features - one)[0, -3:, 5, 5].detach().abs().mean()) for one in aligned)
    assert near > 5 * free


def test_a_small_prompt_is_laid_on_a_large_query(random_images):
    torch.manual_seed(0)
    model = create_model("nano", views="registered", reductions=(1, 2)).eval()
    query, small = random_images(1, 64, 96), random_images(1, 48, 72, seed=1)
    assert model(query, small).shape == (1, 1, 64, 96)
    assert len(model.encode_prompt(small)) == 2 * 5 + 1  # two views at one reduction, and the prompt

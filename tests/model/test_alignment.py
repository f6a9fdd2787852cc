import pytest
import torch
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model.alignment import ALIGNMENTS, SIMILARITIES, FeatureAlignment
from metauas.model.fusion import FUSIONS, Fusion

CHANNELS = 12
similarities = pytest.mark.parametrize("similarity", SIMILARITIES)
alignments = pytest.mark.parametrize("alignment", ALIGNMENTS)


def features(n, height, width, *, channels=CHANNELS, seed=0):
    return torch.randn((n, channels, height, width), generator=torch.Generator().manual_seed(seed))


def make(alignment, similarity="dot", *, channels=CHANNELS):
    torch.manual_seed(0)
    return FeatureAlignment(channels, alignment=alignment, similarity=similarity).eval()


def identity_reduction(module):
    """Let φ hand on the first half of the channels, so that a test decides what is similar."""
    half = module.reduce.out_channels
    with torch.no_grad():
        module.reduce.weight.copy_(torch.eye(half, module.reduce.in_channels)[..., None, None])
        module.reduce.bias.zero_()
    return module


def scores_of(module, query, prompt):
    """The formula of the paper, position by position."""
    weight, bias = module.reduce.weight[..., 0, 0], module.reduce.bias[:, None, None]
    q, p = (torch.einsum("oc,bchw->bohw", weight, side) + bias for side in (query, prompt))
    if module.similarity == "cosine":
        q, p = (side / side.pow(2).sum(dim=1, keepdim=True).sqrt() for side in (q, p))
    return torch.einsum("bchw,bcyx->bhwyx", q, p)


def softly(module, query, prompt, *, prior=0.0):
    """The mean of the prompt's features under the softmax of the scores and the logarithm of a prior."""
    scores = scores_of(module, query, prompt)
    if module.similarity == "cosine":
        scores = scores * module.log_sharpness.exp()
    weights = (scores + prior).flatten(3).softmax(dim=-1).view_as(scores)
    return torch.einsum("bhwyx,bcyx->bchw", weights, prompt)


@similarities
def test_soft_is_the_formula(similarity):
    module, query, prompt = make("soft", similarity), features(2, 5, 4), features(2, 3, 6, seed=1)
    torch.testing.assert_close(module(query, prompt), softly(module, query, prompt), rtol=0, atol=1e-5)


@similarities
def test_hard_takes_the_most_similar_position(similarity):
    module, query, prompt = make("hard", similarity), features(2, 5, 4), features(2, 3, 6, seed=1)
    best = scores_of(module, query, prompt).flatten(3).argmax(dim=-1)
    aligned = module(query, prompt)
    for b, y, x in [(b, y, x) for b in range(2) for y in range(5) for x in range(4)]:
        row, column = divmod(int(best[b, y, x]), 6)
        assert torch.equal(aligned[b, :, y, x], prompt[b, :, row, column])


def test_similarities_differ():
    """The plain product prefers long vectors, the cosine does not."""
    query = torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1, 1)
    prompt = torch.tensor([[1.0, 0, 0, 0], [3.0, 4, 0, 0]]).T.reshape(1, 4, 1, 2)
    by_product = identity_reduction(make("hard", "dot", channels=4))(query, prompt)
    by_cosine = identity_reduction(make("hard", "cosine", channels=4))(query, prompt)
    assert torch.equal(by_product[0, :, 0, 0], prompt[0, :, 0, 1])
    assert torch.equal(by_cosine[0, :, 0, 0], prompt[0, :, 0, 0])


@pytest.mark.parametrize("alignment", ["hard", "soft"])
@similarities
def test_a_permuted_prompt_is_put_in_order(alignment, similarity):
    channels, side = 32, 4
    codes = 40 * torch.eye(side * side).view(1, side * side, side, side)  # one code a position: sharp
    query = torch.cat([codes, features(1, side, side, channels=side * side)], dim=1)
    order = torch.randperm(side * side, generator=torch.Generator().manual_seed(0))
    prompt = query.flatten(2)[..., order].view_as(query)
    aligned = identity_reduction(make(alignment, similarity, channels=channels))(query, prompt)
    assert not torch.allclose(prompt, query, atol=0.1)
    torch.testing.assert_close(aligned, query, rtol=0, atol=1e-4)


def test_without_alignment_the_prompt_is_handed_through():
    query, prompt = features(2, 3, 3), features(2, 3, 3, seed=1)
    module = make("none")
    assert torch.equal(module(query, prompt), prompt)
    assert not list(module.parameters())


def test_without_alignment_sizes_must_agree():
    with pytest.raises(InputError, match=r"alignment='none' .* \(3, 4\) and \(3, 3\).* use 'soft' or 'hard'"):
        make("none")(features(1, 3, 3), features(1, 3, 4))


@alignments
@similarities
def test_attention_sums_to_one_and_explains_the_result(alignment, similarity):
    module, query, prompt = make(alignment, similarity), features(2, 4, 3), features(2, 4, 3, seed=1)
    attention = module.attention(query, prompt)
    assert attention.shape == (2, 12, 12)
    assert attention.min() >= 0
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(2, 12))
    explained = torch.einsum("bnm,bcm->bcn", attention, prompt.flatten(2)).view_as(query)
    torch.testing.assert_close(module(query, prompt), explained, rtol=0, atol=1e-5)


def test_sharpness_is_learnt_where_cosines_are_averaged():
    assert [name for name, _ in make("soft", "cosine").named_parameters()] == [
        "log_sharpness",
        "reduce.weight",
        "reduce.bias",
    ]
    for alignment, similarity in [("soft", "dot"), ("hard", "cosine")]:
        assert not hasattr(make(alignment, similarity), "log_sharpness")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alignment": "sotf"}, "alignment='sotf' is not known, did you mean 'soft'"),
        ({"similarity": "cosin"}, "similarity='cosin' is not known, did you mean 'cosine'"),
    ],
)
def test_unknown_choices(wrong, message):
    with pytest.raises(InputError, match=message):
        FeatureAlignment(8, **wrong)


def test_fusion_values_and_channels():
    query, aligned = (features(2, 3, 4, seed=seed) for seed in range(2))
    expected = {
        "concat": torch.cat([query, aligned], dim=1),
        "add": query + aligned,
        "absdiff": F.relu(query - aligned) + F.relu(aligned - query),
        "contrast": torch.cat([query, F.relu(query - aligned) + F.relu(aligned - query)], dim=1),
    }
    contrast = expected["contrast"]
    units = [F.normalize(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), dim=1).flatten(2) for x in (query, aligned)]
    cosines = torch.einsum("bcn,bcm->bnm", *units).amax(dim=2).view(2, 1, *query.shape[2:])
    expected["nearest"] = torch.cat([contrast, 8 * (1 - cosines) / 2], dim=1)
    assert set(expected) == set(FUSIONS)
    for mode, value in expected.items():
        fusion = Fusion(mode)
        torch.testing.assert_close(fusion(query, aligned, fusion.bank(aligned)), value)
        assert fusion.channels(CHANNELS) == value.shape[1]


def test_unknown_fusion():
    with pytest.raises(InputError, match="fusion='cat' is not known"):
        Fusion("cat")

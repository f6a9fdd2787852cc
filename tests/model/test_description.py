"""Looking into a network: one point's look, and the same weights under another alignment."""

import pytest
import torch

from metauas.errors import InputError
from metauas.model import (
    attention_of,
    create_model,
    describe_stages,
    fast_copy,
    look_of,
    possible_alignments,
    residual_of,
    with_alignment,
)

STAGE = 3  # of stride 8


@pytest.fixture(scope="module")
def images():
    draw = torch.Generator().manual_seed(0)
    return torch.rand(3, 64, 96, generator=draw), torch.rand(3, 64, 64, generator=draw)


@pytest.mark.parametrize("alignment", ["soft", "hard"])
def test_a_look_is_the_row_of_the_attention(images, alignment):
    model = create_model("lite", alignment=alignment).eval()
    look = look_of(model, *images, stage=STAGE, point=(0.8, 0.3))
    assert look.shape == (8, 8)
    column, row = int(0.8 * 12), int(0.3 * 8)
    expected = attention_of(model, *images, stage=STAGE)[row * 12 + column]
    torch.testing.assert_close(look.flatten(), expected, rtol=1e-4, atol=1e-6)  # float32, in another order


def test_without_alignment_a_point_looks_at_its_own_place(images):
    query, _ = images
    look = look_of(create_model("lite", alignment="none").eval(), query, query.flip(2), stage=STAGE, point=(0.5, 0.9))
    assert look.sum() == 1
    assert look[7, 6] == 1


@pytest.mark.parametrize(("point", "place"), [((-3.0, 0.0), (0, 0)), ((1.0, 1.0), (7, 11))])
def test_a_point_outside_is_moved_to_the_border(images, point, place):
    query, _ = images
    look = look_of(create_model("lite", alignment="none").eval(), query, query, stage=STAGE, point=point)
    assert look[place] == 1


def test_another_alignment_keeps_every_weight(images):
    model = create_model("lite").eval()
    hard = with_alignment(model, "hard")
    assert hard.config.alignment == "hard"
    assert not hard.training
    own = model.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in hard.state_dict().items())
    soft, picked = (attention_of(m, *images, stage=STAGE) for m in (model, hard))
    assert torch.equal(soft.argmax(dim=1), picked.argmax(dim=1))


def test_the_same_alignment_gives_the_same_map(images):
    model = create_model("lite").eval()
    query, prompt = (image[None] for image in images)
    again = with_alignment(with_alignment(model, "soft"), "soft")
    torch.testing.assert_close(again.segment(query, prompt), model.segment(query, prompt))


def test_what_was_never_learnt_cannot_be_had():
    model = create_model("lite", alignment="none").eval()
    with pytest.raises(InputError, match="no φ to compare by"):
        with_alignment(model, "soft")
    with pytest.raises(InputError, match="alignment='sof' is not known, did you mean 'soft'"):
        with_alignment(model, "sof")


def test_a_stage_that_is_not_aligned_is_refused():
    model = create_model("lite")
    image = torch.rand(3, 64, 64)
    for stage in (0, 1, 6):
        with pytest.raises(InputError, match=f"stage {stage} is not aligned; those from 3 to 5 are"):
            attention_of(model, image, image, stage=stage)


def test_a_network_without_tokens_has_no_residual_of_an_alignment():
    model = create_model("lite", alignment="none")
    image = torch.rand(3, 64, 64)
    assert possible_alignments(model) == ("none",)
    assert residual_of(model, image, image, stage=5, alignment="none").sum() == 0
    with pytest.raises(InputError, match="has no φ to compare by"):
        residual_of(model, image, image, stage=5, alignment="soft")


@pytest.mark.parametrize("alignment", ["soft", "hard", "none"])
def test_a_fast_copy_has_the_residual_of_its_original(alignment):
    model, draw = create_model("lite").eval(), torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 64, 64, generator=draw)
    ours, theirs = (residual_of(m, *images, stage=STAGE, alignment=alignment) for m in (fast_copy(model), model))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="this is a fast copy"):
        with_alignment(fast_copy(model), alignment)


def test_grids_are_those_of_the_padded_image():
    model = create_model("lite")
    sides = [feature.shape[-1] for feature in model.encode(torch.rand(1, 3, 128, 128))]
    assert describe_stages(model, size=100)["grid"].tolist() == [f"{side} × {side}" for side in sides]

"""Description of a network: tables of its stages and parameters, and the effect of alignment at a stage."""

import copy

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from metauas.errors import InputError, check_choice
from metauas.model.alignment import ALIGNMENTS, FeatureAlignment
from metauas.model.network import MetaUAS


def describe_stages(model: MetaUAS, *, size: int) -> pd.DataFrame:
    """Return one row per encoder stage: stride, channels, grid at ``size`` pixels, and whether it is aligned."""
    strides, channels, first = model.encoder.strides, model.encoder.channels, model.first_aligned
    padded = size + -size % strides[-1]  # the network pads to a multiple of its last stride
    rows = [
        {"stage": i + 1, "stride": s, "channels": c, "grid": f"{padded // s} × {padded // s}", "aligned": i >= first}
        for i, (s, c) in enumerate(zip(strides, channels, strict=True))
    ]
    return pd.DataFrame(rows).set_index("stage")


def describe_parameters(model: MetaUAS) -> pd.DataFrame:
    """Return one row per part of the network: number of parameters, and of trained parameters."""
    parts = {"encoder": model.encoder, "alignment": model.alignments, "decoder": model.decoder, "all": model}
    rows = {
        name: {
            "parameters": sum(p.numel() for p in part.parameters()),
            "learnt": sum(p.numel() for p in part.parameters() if p.requires_grad),
        }
        for name, part in parts.items()
    }
    return pd.DataFrame(rows).T


@torch.no_grad()
def attention_of(
    model: MetaUAS, query: Float[Tensor, "3 h w"], prompt: Float[Tensor, "3 h2 w2"], *, stage: int
) -> Float[Tensor, "n m"]:
    """Return where each position of the query's ``stage`` (1 is the shallowest) looks in the prompt, on the CPU.

    Raises:
        InputError: the stage is not aligned.
    """
    align, *features = _at_stage(model, query, prompt, stage=stage)
    return align.attention(*features)[0].float().cpu()


@torch.no_grad()
def look_of(
    model: MetaUAS,
    query: Float[Tensor, "3 h w"],
    prompt: Float[Tensor, "3 h2 w2"],
    *,
    stage: int,
    point: tuple[float, float],
) -> Float[Tensor, "h3 w3"]:
    """Return where one point of the query looks in the prompt at ``stage``: weights that sum to 1.

    It is the row of ``attention_of`` for that point, without the (HW)² matrix.

    Args:
        model: the network.
        query: the query.
        prompt: the prompt.
        stage: an aligned stage; 1 is the shallowest.
        point: (x, y) in the query, as shares of its width and height; points outside are moved to the border.

    Raises:
        InputError: the stage is not aligned.
    """
    align, query_feature, prompt_feature = _at_stage(model, query, prompt, stage=stage)
    column, row = (
        min(max(int(share * side), 0), side - 1) for share, side in zip(point, query_feature.shape[:1:-1], strict=True)
    )
    if align.alignment == "none":
        weights = torch.zeros(prompt_feature.shape[-2:])
        weights[row, column] = 1.0
        return weights
    here = query_feature[..., row : row + 1, column : column + 1]
    return align.attention(here, prompt_feature)[0, 0].unflatten(0, prompt_feature.shape[-2:]).cpu()


@torch.no_grad()
def residual_of(
    model: MetaUAS, query: Float[Tensor, "3 h w"], prompt: Float[Tensor, "3 h w"], *, stage: int, alignment: str
) -> Float[Tensor, "h2 w2"]:
    """Return the mean absolute difference of the features of query and prompt at ``stage``, after an alignment.

    The alignment's weights are the network's own, whichever alignment it was trained with.

    Raises:
        InputError: the alignment is not known, the network has no φ, or the stage is not aligned.
    """
    _check_possible(model, alignment)
    own, query_feature, prompt_feature = _at_stage(model, query, prompt, stage=stage)
    align = FeatureAlignment(query_feature.shape[1], alignment=alignment, similarity=own.similarity).to(query_feature)
    align.load_state_dict(own.state_dict(), strict=False)  # an alignment without weights has fewer
    return (query_feature - align(query_feature, prompt_feature)).abs().mean(dim=1)[0]


def with_alignment(model: MetaUAS, alignment: str) -> MetaUAS:
    """Return the network with another alignment and the same weights, including φ, in evaluation mode.

    Raises:
        InputError: the alignment is not known, or the network is a fast copy or has no φ, as it was trained with
            ``none``.
    """
    model.check_original()
    _check_possible(model, alignment)
    changed = MetaUAS(model.config.model_copy(update={"alignment": alignment, "encoder_weights": "random"}))
    changed.load_state_dict(model.state_dict(), strict=False)  # only what the alignment needs differs
    changed.normalise = copy.deepcopy(model.normalise)
    return changed.to(model.normalise.mean).eval()


def possible_alignments(model: MetaUAS) -> tuple[str, ...]:
    """Return the alignments that a network can use; a network trained with ``none`` has no φ."""
    return ("none",) if model.config.alignment == "none" else ALIGNMENTS


def _check_possible(model: MetaUAS, alignment: str) -> None:
    check_choice(name="alignment", value=alignment, choices=ALIGNMENTS)
    if alignment not in possible_alignments(model):
        raise InputError(
            f"a network trained with alignment='none' has no φ to compare by, so it cannot align by {alignment!r}; "
            "take one trained with 'soft' or 'hard'"
        )


def _at_stage(model: MetaUAS, query: Tensor, prompt: Tensor, *, stage: int) -> tuple[FeatureAlignment, Tensor, Tensor]:
    first = model.first_aligned
    if not first < stage <= len(model.encoder.strides):
        raise InputError(f"stage {stage} is not aligned; those from {first + 1} to {len(model.encoder.strides)} are")
    align = model.alignments[stage - 1 - first]
    assert isinstance(align, FeatureAlignment)
    return align, model.encode(query[None])[stage - 1], model.encode(prompt[None])[stage - 1]

"""The feature alignment module (FAM): bring the prompt's features to the query's places (paper, section 3.3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError, check_choice

ALIGNMENTS = ("none", "hard", "soft")
SIMILARITIES = ("dot", "cosine")

_SHARPNESS = 30.0  # at the start, with cosines: about what training settles at in shallow stages


class FeatureAlignment(nn.Module):
    """Aligns the prompt's features of one stage to the query's.

    One shared 1×1 convolution φ halves the channels of both. With s = ⟨φ(query)ᵢ, φ(prompt)ⱼ⟩ over all positions
    i of the query and j of the prompt, the aligned feature at i is

    - ``soft``: Σⱼ softmaxⱼ(s) promptⱼ, a mean of the prompt's unreduced features;
    - ``hard``: the prompt's feature at argmaxⱼ s;
    - ``none``: the prompt's feature at i itself.

    Args:
        channels: channels of the stage.
        alignment: ``none``, ``hard`` or ``soft``.
        similarity: ``dot`` (the official code: no scaling) or ``cosine`` (both sides of unit length, times a learnt
            sharpness, without which a softmax over cosines would be nearly flat).
    """

    def __init__(self, channels: int, *, alignment: str = "soft", similarity: str = "dot") -> None:
        super().__init__()
        self.alignment = check_choice(name="alignment", value=alignment, choices=ALIGNMENTS)
        self.similarity = check_choice(name="similarity", value=similarity, choices=SIMILARITIES)
        if alignment != "none":
            self.reduce = nn.Conv2d(channels, channels // 2, kernel_size=1)
        if alignment == "hard":
            self.reduce.requires_grad_(False)  # a choice has no gradient: φ stays as it starts
        if alignment == "soft" and similarity == "cosine":
            self.log_sharpness = nn.Parameter(torch.tensor(_SHARPNESS).log())

    def forward(self, query: Float[Tensor, "b c h w"], prompt: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        """Return the prompt's features at the query's places.

        Raises:
            InputError: ``none`` was asked for with a prompt of another size than the query.
        """
        if self.alignment == "none":
            return _same_size(query, prompt)
        values = prompt.flatten(2).transpose(1, 2)
        queries, keys = self._sharpened(self.tokens(query)), self.tokens(prompt)
        pick = _soft if self.alignment == "soft" else _hard
        return pick(queries, keys, values).transpose(1, 2).unflatten(2, query.shape[-2:]).contiguous()

    def tokens(self, feature: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n c2"]:
        """Return what is compared: reduced features, one row per position, of unit length for cosines."""
        tokens = self.reduce(feature).flatten(2).transpose(1, 2)
        return F.normalize(tokens, dim=-1) if self.similarity == "cosine" else tokens

    def attention(self, query: Float[Tensor, "b c h w"], prompt: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b n m"]:
        """Return where each of the query's n positions looks among the prompt's m, rows summing to 1 (to be shown).

        Raises:
            InputError: as ``forward``.
        """
        if self.alignment == "none":
            positions = _same_size(query, prompt)[0, 0].numel()
            return torch.eye(positions).to(query).expand(len(query), -1, -1)
        return self.weights(self.tokens(query), self.tokens(prompt))

    def weights(self, queries: Float[Tensor, "*b n c"], keys: Float[Tensor, "*k m c"]) -> Float[Tensor, "*bk n m"]:
        """Return the attention of ``soft`` or ``hard`` between tokens; leading dimensions are broadcast."""
        scores = self._sharpened(queries) @ keys.transpose(-1, -2)
        if self.alignment == "hard":
            return F.one_hot(scores.argmax(dim=-1), scores.shape[-1]).to(scores)
        return scores.softmax(dim=-1)

    def _sharpened(self, queries: Tensor) -> Tensor:
        return queries * self.log_sharpness.exp() if hasattr(self, "log_sharpness") else queries


def _soft(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    # the fused kernel never holds the n × m matrix; it wants heads, one width for all three, and rows in one piece
    width, kind = max(values.shape[-1], keys.shape[-1]), keys.dtype
    q, k, v = (F.pad(t.to(kind), (0, width - t.shape[-1])).contiguous()[:, None] for t in (queries, keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0, :, : values.shape[-1]].to(values.dtype)


def _hard(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    best = (queries @ keys.transpose(1, 2)).argmax(dim=-1)
    return values.gather(1, best[..., None].expand(-1, -1, values.shape[-1]))


def _same_size(query: Tensor, prompt: Tensor) -> Tensor:
    if query.shape[-2:] != prompt.shape[-2:]:
        raise InputError(
            f"alignment='none' compares place by place: give the prompt the query's size "
            f"(features {tuple(prompt.shape[-2:])} and {tuple(query.shape[-2:])}), or use 'soft' or 'hard'"
        )
    return prompt

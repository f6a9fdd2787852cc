"""The feature alignment module (FAM): bring the prompt's features to the query's places (paper, section 3.3)."""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError, check_choice

ALIGNMENTS = ("none", "hard", "soft")
SIMILARITIES = ("dot", "cosine")
FUSIONS = ("concat", "add", "absdiff", "contrast", "contrast-place")

_SHARPNESS = 30.0  # at the start, with cosines: about what training settles at in shallow stages
_NEAR = 0.7  # features: deviation of the Gaussian that says what is near


class FeatureAlignment(nn.Module):
    """Aligns the prompt's features of one stage to the query's.

    One shared 1×1 convolution φ halves the channels of both. With s = ⟨φ(query)ᵢ, φ(prompt)ⱼ⟩ over all positions
    i of the query and j of the prompt, the aligned feature at i is

    - ``soft``: Σⱼ softmaxⱼ(s) promptⱼ, a mean of the prompt's unreduced features;
    - ``hard``: the prompt's feature at argmaxⱼ s;
    - ``none``: the prompt's feature at i itself.

    ``near`` adds -|i - j|² / 2σ² to s, with σ = 0.7 features, as if j were drawn from a Gaussian around the same place:
    for prompts that lie as the query does, so that the ground that shows in a gap is not found elsewhere.

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

    def forward(
        self, query: Float[Tensor, "b c h w"], prompt: Float[Tensor, "b c h2 w2"], *, near: bool = False
    ) -> Float[Tensor, "b c h w"]:
        """Return the prompt's features at the query's places, of those ``near`` only if so wanted.

        Raises:
            InputError: ``none`` or ``near`` was asked for with a prompt of another size than the query.
        """
        if self.alignment == "none":
            return _same_size(query, prompt)
        values = prompt.flatten(2).transpose(1, 2)
        queries, keys = self._sharpened(self.tokens(query)), self.tokens(prompt)
        if near:
            queries, keys = _with_places(queries, keys, shape=_same_size(query, prompt).shape[-2:])
        pick = _soft if self.alignment == "soft" else _hard
        with exactly(query.device) if near else nullcontext():
            aligned = pick(queries, keys, values)
        return aligned.transpose(1, 2).unflatten(2, query.shape[-2:]).contiguous()

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


def exactly(device: torch.device) -> AbstractContextManager[object]:
    """Suspend autocast in the block, for what would not be exact in half precision, such as places."""
    kind = device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _soft(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    # the fused kernel never holds the n × m matrix; it wants heads, one width for all three, and rows in one piece
    width, kind = max(values.shape[-1], keys.shape[-1]), keys.dtype
    q, k, v = (_padded(tokens.to(kind), width)[:, None] for tokens in (queries, keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0, :, : values.shape[-1]].to(values.dtype)


def _hard(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    best = (queries @ keys.transpose(1, 2)).argmax(dim=-1)
    return values.gather(1, best[..., None].expand(-1, -1, values.shape[-1]))


def _padded(tokens: Tensor, width: int) -> Tensor:
    return F.pad(tokens, (0, width - tokens.shape[-1])).contiguous()


def _with_places(queries: Tensor, keys: Tensor, *, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Return tokens whose products have -|i - j|² / 2σ² added, but for |i|², which no softmax over j can see.

    So no n × m matrix of distances is needed. In half precision the places would not be exact.
    """
    axes = [(torch.arange(side) - (side - 1) / 2) / _NEAR for side in shape]
    places = torch.cartesian_prod(*axes).to(
        device=queries.device, dtype=torch.promote_types(queries.dtype, torch.float32)
    )
    lengths = places.square().sum(dim=1, keepdim=True)
    rows = torch.cat([places, torch.ones_like(lengths)], dim=1), torch.cat([places, -lengths / 2], dim=1)
    first, second = (
        torch.cat([tokens.to(places), row.expand(tokens.shape[0], -1, -1)], dim=2)
        for tokens, row in zip((queries, keys), rows, strict=True)
    )
    return first, second


def _same_size(query: Tensor, prompt: Tensor) -> Tensor:
    if query.shape[-2:] != prompt.shape[-2:]:
        raise InputError(
            f"alignment='none' and near compare place by place: give the prompt the query's size "
            f"(features {tuple(prompt.shape[-2:])} and {tuple(query.shape[-2:])}), or use 'soft' or 'hard'"
        )
    return prompt


class Fusion(nn.Module):
    """Joins the query's features with the aligned prompt's.

    - ``concat``: the query's, then the prompt's (the official one);
    - ``add``: their sum;
    - ``absdiff``: what differs, wherever it is;
    - ``contrast``: the query's, then what differs: where an edge or a pattern is, the same difference means less;
    - ``contrast-place``: ``contrast``, then what differs from the prompt at the same place. Alignment finds the ground
      that shows where a part is missing elsewhere on the prompt, and no difference; at its place there is one.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = check_choice(name="fusion", value=mode, choices=FUSIONS)

    def channels(self, stage: int) -> int:
        """Channels after fusing a stage of ``stage`` channels."""
        return {"concat": 2, "contrast": 2, "contrast-place": 3}.get(self.mode, 1) * stage

    def forward(
        self, query: Float[Tensor, "b c h w"], aligned: Float[Tensor, "b c h w"], prompt: Float[Tensor, "b *k c h2 w2"]
    ) -> Float[Tensor, "b c2 h w"]:
        """Return the fused features.

        Args:
            query: the query's.
            aligned: the prompt's, aligned to the query's places.
            prompt: the prompt's as they are, or of K prompts; only ``contrast-place`` looks at their mean, enlarged to
                the query's grid.
        """
        if self.mode == "concat":
            return torch.cat([query, aligned], dim=1)
        if self.mode == "add":
            return query + aligned
        difference = (query - aligned).abs()
        if self.mode == "absdiff":
            return difference
        if self.mode == "contrast":
            return torch.cat([query, difference], dim=1)
        return torch.cat([query, difference, (query - _in_place(prompt, like=query)).abs()], dim=1)


def _in_place(prompt: Tensor, *, like: Tensor) -> Tensor:
    if prompt.dim() > 4:
        prompt = prompt.mean(dim=1)
    if prompt.shape[-2:] == like.shape[-2:]:
        return prompt
    return F.interpolate(prompt, size=like.shape[-2:], mode="bilinear")

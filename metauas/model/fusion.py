"""Fusion: the query's features joined with the aligned prompt's (paper, section 3.3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metauas.errors import check_choice
from metauas.model.nearest_features import as_bank, distance_to_nearest, unit_means

FUSIONS = ("concat", "add", "absdiff", "contrast", "nearest")

_SPREAD = 8.0  # distances lie mostly below 0.2; features are about ten times as large


class Fusion(nn.Module):
    """Joins the query's features with the aligned prompt's.

    - ``concat``: the query's, then the prompt's (the official one);
    - ``add``: their sum;
    - ``absdiff``: their absolute difference;
    - ``contrast``: the query's, then the absolute difference: on an edge or a pattern a difference means less;
    - ``nearest``: ``contrast``, then the distance to the nearest feature of the prompts (one channel). Soft alignment
      averages features, so a difference remains even where the prompt has the same feature; this distance is small.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = check_choice(name="fusion", value=mode, choices=FUSIONS)

    def channels(self, stage: int) -> int:
        """Channels after fusing a stage of ``stage`` channels."""
        return {"concat": 2 * stage, "contrast": 2 * stage, "nearest": 2 * stage + 1}.get(self.mode, stage)

    @property
    def has_bank(self) -> bool:
        """Whether ``forward`` needs what ``bank`` returns."""
        return self.mode == "nearest"

    def bank(self, prompt: Float[Tensor, "p *k c h w"]) -> Float[Tensor, "p m c"] | None:
        """Return the unit vectors that ``nearest`` compares with, for ``forward``; None for the other choices."""
        if not self.has_bank:
            return None
        return as_bank(unit_means(prompt.flatten(0, -4)), prompts=prompt.shape[0])  # len would fix it in an export

    def forward(
        self,
        query: Float[Tensor, "b c h w"],
        aligned: Float[Tensor, "b c h w"],
        bank: Float[Tensor, "p m c"] | None = None,
    ) -> Float[Tensor, "b c2 h w"]:
        """Return the fused features.

        Args:
            query: the query's.
            aligned: the prompt's, aligned to the query's positions.
            bank: what ``bank`` returned for the prompts' features, one for all queries or one for each.
        """
        if self.mode == "concat":
            return torch.cat([query, aligned], dim=1)
        if self.mode == "add":
            return query + aligned
        difference = (query - aligned).abs()
        if self.mode == "absdiff":
            return difference
        parts = [query, difference]
        if bank is not None:
            parts.append((_SPREAD * distance_to_nearest(unit_means(query), bank)).to(query))
        return torch.cat(parts, dim=1)

"""Fusion: the query's features joined with the aligned prompt's (paper, section 3.3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metauas.errors import check_choice

FUSIONS = ("concat", "add", "absdiff", "contrast")


class Fusion(nn.Module):
    """Joins the query's features with the aligned prompt's.

    - ``concat``: the query's, then the prompt's (the official one);
    - ``add``: their sum;
    - ``absdiff``: their absolute difference;
    - ``contrast``: the query's, then the absolute difference: on an edge or a pattern a difference means less.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = check_choice(name="fusion", value=mode, choices=FUSIONS)

    def channels(self, stage: int) -> int:
        """Channels after fusing a stage of ``stage`` channels."""
        return 2 * stage if self.mode in ("concat", "contrast") else stage

    def forward(self, query: Float[Tensor, "b c h w"], aligned: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """Return the fused features of the query's and of the prompt's, which are aligned to the query's places."""
        if self.mode == "concat":
            return torch.cat([query, aligned], dim=1)
        if self.mode == "add":
            return query + aligned
        difference = (query - aligned).abs()
        return difference if self.mode == "absdiff" else torch.cat([query, difference], dim=1)

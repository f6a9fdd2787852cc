"""Distance to the nearest feature of the prompts, wherever it is: what no place of the prompts resembles is new.

PatchCore (Roth et al., CVPR 2022) scores by it with a memory bank of normal images, WinCLIP (Jeong et al., CVPR 2023)
with few of them. Nothing here learns.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_AT_ONCE = 4096  # positions of a query, to bound the matrix of cosines


def unit_means(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return the means of 3 × 3 positions as unit vectors, in float32."""
    means = F.avg_pool2d(features.float(), 3, stride=1, padding=1, count_include_pad=False)
    return F.normalize(means, dim=1)


def as_bank(vectors: Float[Tensor, "n c h w"], *, prompts: int | torch.SymInt) -> Float[Tensor, "p m c"]:
    """Return unit vectors of ``prompts`` · K images as the M = K·H·W vectors that each query is compared with."""
    return vectors.flatten(2).transpose(1, 2).reshape(prompts, -1, vectors.shape[1])


def distance_to_nearest(query: Float[Tensor, "b c h w"], bank: Float[Tensor, "p m c"]) -> Float[Tensor, "b 1 h w"]:
    """Return ½ (1 − the highest cosine with the bank) at each position, in [0, 1].

    Args:
        query: unit vectors.
        bank: unit vectors of the prompts, one bank for all queries or one for each (P is 1 or B).
    """
    with torch.autocast(query.device.type, enabled=False):  # cosines near 1 need all of float32
        cosines = [(bank @ part).amax(dim=1) for part in query.flatten(2).split(_AT_ONCE, dim=2)]
    nearest = torch.cat(cosines, dim=1)[:, None].unflatten(2, query.shape[-2:])
    return ((1 - nearest) / 2).clamp(0, 1)  # rounding can take a cosine past 1

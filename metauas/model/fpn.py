"""The FPN decoder: levels of a feature pyramid, segmented separately and merged at the shallowest stride."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_FINEST = 4  # stride of the shallowest level, as in panoptic FPN
_DROPOUT = 0.2
_MOST_GROUPS = 32
_LEAST_IN_GROUP = 4  # channels: group norm of one channel and one pixel is always 0


class FPNDecoder(nn.Module):
    """Panoptic feature pyramid (Kirillov et al., CVPR 2019), the decoder of the author's variants.

    Lateral 1×1 convolutions give the stages from stride 4 on the same width. From the deepest on, each is upsampled
    (nearest) and added to the next. Each level is convolved and doubled up to the stride of the shallowest. The merged
    levels give the logits, which are upsampled bilinearly. Stages of stride 2 are not used.

    Args:
        channels: channels of the input features, shallow to deep, after fusion.
        strides: their strides, powers of two, shallow to deep.
        widths: channels of the pyramid's levels, and of the segmentation blocks.
        merge: how the levels are merged, ``sum`` or ``concat``.

    Attributes:
        steps: stride and channels of the pyramid's levels, deep to shallow, and of the merged levels.
    """

    def __init__(
        self, *, channels: Sequence[int], strides: Sequence[int], widths: Sequence[int], merge: str = "sum"
    ) -> None:
        super().__init__()
        pyramid, segmentation = widths
        self.merge = merge
        self.unused = sum(stride < _FINEST for stride in strides)
        self.scale = strides[self.unused]
        self.laterals = nn.ModuleList(nn.Conv2d(c, pyramid, kernel_size=1) for c in channels[self.unused :])
        self.levels = nn.ModuleList(
            _segmentation_block(pyramid, segmentation, doublings=(stride // self.scale).bit_length() - 1)
            for stride in strides[self.unused :]
        )
        self.dropout = nn.Dropout2d(_DROPOUT)
        merged = segmentation * (len(self.levels) if merge == "concat" else 1)
        self.steps = (*((stride, pyramid) for stride in reversed(strides[self.unused :])), (self.scale, merged))
        self.head = nn.Conv2d(merged, 1, kernel_size=1)

    def forward(self, features: Sequence[Tensor]) -> Float[Tensor, "b 1 h w"]:
        """Return logits at full resolution from features given shallow to deep."""
        pyramid = self._pyramid(features[self.unused :])
        levels = [level(feature) for level, feature in zip(self.levels, pyramid, strict=True)]
        merged = torch.cat(levels, dim=1) if self.merge == "concat" else sum(levels[1:], start=levels[0])
        return F.interpolate(self.head(self.dropout(merged)), scale_factor=self.scale, mode="bilinear")

    def _pyramid(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels shallow to deep: each stage plus all deeper stages."""
        laterals = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        pyramid = [laterals[-1]]
        for lateral in reversed(laterals[:-1]):
            pyramid.append(lateral + F.interpolate(pyramid[-1], size=lateral.shape[-2:], mode="nearest"))
        return pyramid[::-1]


def _segmentation_block(inputs: int, outputs: int, *, doublings: int) -> nn.Sequential:
    """3×3 convolution, group norm, ReLU and bilinear ×2, once for each doubling; without any, once without ×2."""
    layers: list[nn.Module] = []
    for step in range(max(1, doublings)):
        layers += [
            nn.Conv2d(outputs if step else inputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(_groups(outputs), outputs),
            nn.ReLU(inplace=True),
        ]
        if doublings:
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    return nn.Sequential(*layers)


def _groups(channels: int) -> int:
    """Return the most groups of equal size that keep at least four channels each, 32 at most."""
    most = min(_MOST_GROUPS, max(1, channels // _LEAST_IN_GROUP))
    return max(groups for groups in range(1, most + 1) if channels % groups == 0)

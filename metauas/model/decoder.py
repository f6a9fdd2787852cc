"""The U-Net decoder: fused deep features and shallow features of the query in, logits at full resolution out."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model.config import ModelConfig
from metauas.model.fpn import FPNDecoder

_BOTTLENECK = 16  # input channels for each channel in the bottleneck of the channel gate


class SpatialChannelExcitation(nn.Module):
    """scSE: gates channels and positions, and adds both (Roy et al., MICCAI 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // _BOTTLENECK)
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, channels, 1),
            nn.Sigmoid(),
        )
        self.position = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the gated features."""
        return x * (self.channel(x) + self.position(x))


class DecoderBlock(nn.Module):
    """Upsample, concatenate the skip, convolve twice; optional attention before and after."""

    def __init__(self, inputs: int, skip: int, outputs: int, *, scale: int, attention: str) -> None:
        super().__init__()
        self.scale = scale
        self.attention_in = _attention(inputs + skip, attention if skip else "none")
        self.conv1 = _conv_norm_act(inputs + skip, outputs)
        self.conv2 = _conv_norm_act(outputs, outputs)
        self.attention_out = _attention(outputs, attention if skip else "none")

    def forward(self, x: Tensor, skip: Tensor | None) -> Float[Tensor, "b c h w"]:
        """Return (B, outputs, scale · H, scale · W)."""
        x = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        if skip is not None:
            x = self.attention_in(torch.cat([x, skip], dim=1))
        return self.attention_out(self.conv2(self.conv1(x)))


def _attention(channels: int, kind: str) -> nn.Module:
    return SpatialChannelExcitation(channels) if kind == "scse" else nn.Identity()


class UNetDecoder(nn.Module):
    """U-Net decoder (paper, section 3.3).

    Args:
        channels: channels of the input features, shallow to deep, after fusion.
        strides: their strides, shallow to deep.
        widths: channels of the blocks, deep to shallow: one per feature except the deepest, and one more for full
            resolution if the shallowest feature has a lower one. With fewer widths the last blocks and their skips
            are left out, and the logits are upsampled bilinearly.
        attention: ``none`` or ``scse``, around each block with a skip.

    Attributes:
        steps: stride and channels of the output of each block, in order.

    Raises:
        InputError: the number of widths does not fit the encoder.
    """

    def __init__(
        self, *, channels: Sequence[int], strides: Sequence[int], widths: Sequence[int], attention: str = "none"
    ) -> None:
        super().__init__()
        skips = [*reversed(channels[:-1])] + ([0] if strides[0] > 1 else [])
        steps = [*reversed(strides)] + ([1] if strides[0] > 1 else [])
        if not 1 <= len(widths) <= len(skips):
            raise InputError(
                f"decoder_channels has {len(widths)} numbers; "
                f"an encoder of strides {tuple(strides)} takes 1 to {len(skips)}"
            )
        inputs = [channels[-1], *widths[:-1]]
        self.blocks = nn.ModuleList(
            DecoderBlock(i, s, o, scale=deep // shallow, attention=attention)
            for i, s, o, deep, shallow in zip(inputs, skips, widths, steps, steps[1:], strict=False)
        )
        self.steps = tuple(zip(steps[1:], widths, strict=False))
        self.scale = steps[len(widths)]
        self.head = nn.Conv2d(widths[-1], 1, kernel_size=1)

    def forward(self, features: Sequence[Tensor]) -> Float[Tensor, "b 1 h w"]:
        """Return logits at full resolution from features given shallow to deep."""
        x, *skips = reversed(features)
        for block, skip in zip(self.blocks, [*skips, None], strict=False):
            x = block(x, skip)
        logits = self.head(x)
        return F.interpolate(logits, scale_factor=self.scale, mode="bilinear") if self.scale > 1 else logits


def create_decoder(config: ModelConfig, *, channels: Sequence[int], strides: Sequence[int]) -> UNetDecoder | FPNDecoder:
    """Create the decoder of a configuration.

    Args:
        config: its fields ``decoder…`` are used.
        channels: channels of the input features, shallow to deep, after fusion.
        strides: their strides, shallow to deep.

    Raises:
        InputError: ``decoder_channels`` does not fit the encoder.
    """
    widths = config.decoder_channels
    if config.decoder == "fpn":
        return FPNDecoder(channels=channels, strides=strides, widths=widths, merge=config.decoder_merge)
    return UNetDecoder(channels=channels, strides=strides, widths=widths, attention=config.decoder_attention)


def _conv_norm_act(inputs: int, outputs: int) -> nn.Sequential:
    """3×3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from metauas.model.fpn import FPNDecoder

CHANNELS, STRIDES = (4, 6, 8, 10, 12), (2, 4, 8, 16, 32)


def features(channels=CHANNELS, strides=STRIDES, *, size=64, n=2):
    generator = torch.Generator().manual_seed(0)
    sides = [(c, size // s) for c, s in zip(channels, strides, strict=True)]
    return [torch.randn((n, c, side, side), generator=generator) for c, side in sides]


def make(*, channels=CHANNELS, strides=STRIDES, pyramid=16, segmentation=8, merge="sum"):
    torch.manual_seed(0)
    return FPNDecoder(channels=channels, strides=strides, widths=(pyramid, segmentation), merge=merge).eval()


def kinds(module, kind):
    return [m for m in module.modules() if isinstance(m, kind)]


def block(x, convolutions, *, doubled):
    """Convolution, norm over groups of four channels, ReLU, ×2, by their formulas."""
    for convolution in convolutions:
        x = F.conv2d(x, convolution.weight, padding=1)
        grouped = x.unflatten(1, (-1, 4))
        mean = grouped.mean(dim=(2, 3, 4), keepdim=True)
        deviation = (grouped.var(dim=(2, 3, 4), keepdim=True, correction=0) + 1e-5).sqrt()
        x = ((grouped - mean) / deviation).flatten(1, 2).clamp(min=0)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) if doubled else x
    return x


@pytest.mark.parametrize("merge", ["sum", "concat"])
def test_the_decoder_is_its_formula(merge):
    decoder, stages = make(merge=merge), features()
    level, levels = None, []
    for doublings in (3, 2, 1, 0):  # strides 32, 16, 8 and 4
        stage, weight = stages[doublings + 1], decoder.laterals[doublings]
        lateral = torch.einsum("oc,bchw->bohw", weight.weight[..., 0, 0], stage) + weight.bias[:, None, None]
        above = 0 if level is None else level.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        level = lateral + above
        levels.insert(0, block(level, kinds(decoder.levels[doublings], nn.Conv2d), doubled=doublings > 0))
    merged = torch.cat(levels, dim=1) if merge == "concat" else torch.stack(levels).sum(dim=0)
    logits = F.conv2d(merged, decoder.head.weight, decoder.head.bias)
    expected = F.interpolate(logits, size=(64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(decoder(stages), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("merge", ["sum", "concat"])
@pytest.mark.parametrize(
    ("channels", "strides"),
    [
        (CHANNELS, STRIDES),
        ((8, 16, 24, 32), (4, 8, 16, 32)),
        ((2, 4, 8), (1, 4, 32)),  # levels may lie more than one doubling apart
        ((4, 8), (8, 16)),  # the shallowest level has another stride
    ],
)
def test_logits_have_full_resolution(channels, strides, merge):
    decoder = make(channels=channels, strides=strides, merge=merge)
    assert decoder(features(channels, strides)).shape == (2, 1, 64, 64)


def test_every_stage_from_stride_four_on_is_used():
    stages = [stage.requires_grad_() for stage in features()]
    make()(stages).square().sum().backward()
    assert [stage.grad is not None and bool(stage.grad.abs().max() > 0) for stage in stages] == [False] + 4 * [True]


@pytest.mark.parametrize("segmentation", [1, 3, 6, 9, 20, 48, 128, 250])
def test_groups_divide_any_width_and_keep_four_channels(segmentation):
    norms = kinds(make(segmentation=segmentation), nn.GroupNorm)
    assert len(norms) == 3 + 2 + 1 + 1
    for norm in norms:
        assert segmentation % norm.num_groups == 0
        assert segmentation // norm.num_groups >= min(4, segmentation)


def test_the_authors_width_is_normed_in_32_groups():
    assert {norm.num_groups for norm in kinds(make(segmentation=128), nn.GroupNorm)} == {32}


def test_a_deepest_stage_of_one_pixel_still_counts():
    """Normed alone, the one value of a channel would always be zero."""
    decoder, stages = make(), features(size=32)
    changed = [*stages[:-1], -stages[-1]]
    assert stages[-1].shape[-2:] == (1, 1)
    deepest = [decoder.levels[-1](decoder.laterals[-1](s[-1])) for s in (stages, changed)]
    assert not torch.allclose(*deepest, atol=1e-3)


def test_whole_channels_are_dropped_in_training_only():
    decoder, stages, seen = make(), features(), []
    decoder.head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    decoder(stages)
    decoder.train()
    for _ in range(50):
        decoder(stages)
    whole, *thinned = seen
    dropped = torch.stack([(x == 0).all(dim=(2, 3)) for x in thinned])
    assert abs(dropped.float().mean().item() - 0.2) < 4 * (0.2 * 0.8 / dropped.numel()) ** 0.5
    kept = ~dropped[0, ..., None, None]
    torch.testing.assert_close(thinned[0], whole / 0.8 * kept, rtol=1e-5, atol=1e-6)

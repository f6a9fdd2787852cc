import pytest
import torch

from metauas.errors import InputError
from metauas.model import network_config
from metauas.model.decoder import SpatialChannelExcitation, UNetDecoder, create_decoder
from metauas.model.fpn import FPNDecoder

CHANNELS, STRIDES = (8, 8, 16, 24, 32), (2, 4, 8, 16, 32)


def pyramid(channels, strides, *, size=64, n=2):
    generator = torch.Generator().manual_seed(0)
    sides = [(c, size // s) for c, s in zip(channels, strides, strict=True)]
    return [torch.randn((n, c, side, side), generator=generator) for c, side in sides]


@pytest.mark.parametrize("attention", ["none", "scse"])
@pytest.mark.parametrize(
    ("channels", "strides", "widths"),
    [
        (CHANNELS, STRIDES, (32, 24, 16, 8, 4)),
        (CHANNELS, STRIDES, (32, 24, 16, 8)),  # the logits are doubled
        (CHANNELS, STRIDES, (32,)),  # enlarged by 16
        ((8, 16, 24, 32), (4, 8, 16, 32), (32, 16, 8, 4)),  # the last block goes from stride 4 to 1
        ((4, 8, 16), (1, 2, 4), (16, 8)),  # full resolution is there already
    ],
)
def test_logits_have_full_resolution(channels, strides, widths, attention):
    decoder = UNetDecoder(channels=channels, strides=strides, widths=widths, attention=attention)
    assert decoder(pyramid(channels, strides)).shape == (2, 1, 64, 64)


def test_every_skip_is_used():
    channels, strides = (4, 4, 8, 8, 16), (2, 4, 8, 16, 32)
    decoder = UNetDecoder(channels=channels, strides=strides, widths=(16, 8, 8, 4, 4), attention="scse")
    features = [feature.requires_grad_() for feature in pyramid(channels, strides)]
    decoder(features).sum().backward()
    assert all(feature.grad.abs().max() > 0 for feature in features)


def test_enlarging_is_nearest():
    decoder = UNetDecoder(channels=(3, 2), strides=(1, 4), widths=(4,))
    deep = torch.arange(8.0).view(1, 2, 2, 2)
    seen = []
    decoder.blocks[0].conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    decoder([torch.zeros(1, 3, 8, 8), deep])
    assert torch.equal(seen[0][:, :2], deep.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3))


def test_scse_is_its_formula():
    module = SpatialChannelExcitation(32)
    x = torch.randn((2, 32, 5, 4), generator=torch.Generator().manual_seed(0))
    squeeze, excite, position = module.channel[1], module.channel[3], module.position[0]
    hidden = torch.relu(x.mean(dim=(2, 3)) @ squeeze.weight[..., 0, 0].T + squeeze.bias)
    channel_gate = torch.sigmoid(hidden @ excite.weight[..., 0, 0].T + excite.bias)[..., None, None]
    position_gate = torch.sigmoid((x * position.weight).sum(dim=1, keepdim=True) + position.bias)
    torch.testing.assert_close(module(x), x * channel_gate + x * position_gate, rtol=0, atol=1e-5)


def test_scse_of_few_channels_keeps_a_bottleneck():
    assert SpatialChannelExcitation(8).channel[1].out_channels == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_fewer_blocks_leave_out_the_shallowest_skips(count):
    """The same network as far as it goes, its logits enlarged bilinearly."""
    decoder = UNetDecoder(channels=CHANNELS, strides=STRIDES, widths=(32, 24, 16, 8)[:count])
    features = [feature.requires_grad_() for feature in pyramid(CHANNELS, STRIDES)]
    small = []
    decoder.head.register_forward_hook(lambda module, inputs, output: small.append(output))
    logits = decoder(features)
    assert small[0].shape[-1] == 64 // STRIDES[4 - count]
    expected = torch.nn.functional.interpolate(small[0], size=(64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)
    logits.sum().backward()
    assert [feature.grad is not None for feature in features] == [False] * (4 - count) + [True] * (count + 1)


@pytest.mark.parametrize("count", [0, 6])
def test_wrong_number_of_widths(count):
    with pytest.raises(
        InputError, match=rf"decoder_channels has {count} numbers; .* strides \(2, 4, 8, 16, 32\) takes 1 to 5"
    ):
        UNetDecoder(channels=CHANNELS, strides=STRIDES, widths=(8,) * count)


def test_the_configuration_chooses_the_decoder():
    unet = create_decoder(network_config("b4"), channels=CHANNELS, strides=STRIDES)
    assert isinstance(unet, UNetDecoder)
    assert isinstance(unet.blocks[0].attention_in, SpatialChannelExcitation)
    config = network_config("b4", decoder="fpn", decoder_merge="concat", decoder_channels=(24, 12))
    fpn = create_decoder(config, channels=CHANNELS, strides=STRIDES)
    assert isinstance(fpn, FPNDecoder)
    assert fpn.laterals[0].out_channels == 24
    assert fpn.head.in_channels == 4 * 12

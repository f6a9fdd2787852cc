"""One contract for all variants of the network: what each choice of alignment, decoder and encoder must keep."""

import copy
import itertools
import zlib

import pytest
import torch
from torch import nn

from metauas.model import ALIGNMENTS, FUSIONS, SIMILARITIES, create_model, load_checkpoint, save_checkpoint

pytestmark = pytest.mark.long
DECODERS = ({"decoder": "unet"}, *({"decoder": "fpn", "decoder_merge": merge} for merge in ("sum", "concat")))
COUNTS = (1, 2, 3, 4)  # of aligned stages

#: Every pair of choices occurs, see the first test; all combinations would be 216.
CHOICES = [
    {
        "alignment": ALIGNMENTS[(count + row) % 3],
        "similarity": SIMILARITIES[(count + row) % 2],
        "fusion": FUSIONS[(count + 2 * row) % 3],
        "aligned_stages": count,
        **decoder,
    }
    for count, (row, decoder) in itertools.product(COUNTS, enumerate(DECODERS))
]

UNET = {"decoder": "unet", "decoder_channels": (32, 16, 16, 8, 8)}
SHORT_UNET = {"decoder": "unet", "decoder_channels": (32, 16, 16, 8)}  # on four stages: all; on five: ends at stride 2
FPN = {"decoder": "fpn", "decoder_channels": (32, 16)}

#: One encoder a family, with the U-Net and the FPN in turn.
FAMILIES = [
    {"encoder": "efficientnet_b0", "fusion": "concat", **UNET},
    {"encoder": "resnet18", **FPN},
    {"encoder": "convnext_atto", "aligned_stages": 3, **SHORT_UNET},
    {"encoder": "mobilenetv3_small_050", **FPN},
    {"encoder": "regnetx_002", "alignment": "hard", **UNET},
    {"encoder": "mnasnet_small", "aligned_stages": 2, **SHORT_UNET},
    {"encoder": "ghostnet_050", "alignment": "none", "fusion": "add", **FPN, "decoder_merge": "concat"},
]
SMALL_ENCODER = {"encoder": "test_efficientnet", "encoder_weights": "random"}  # of all variants without their own
PAPERS = {"preset": "b4", **SMALL_ENCODER}  # frozen, scSE
LITE = {"preset": "lite"}
VARIANTS = [*CHOICES, *FAMILIES, PAPERS, LITE]


def name_of(variant):
    return "-".join(str(v) for k, v in variant.items() if k not in ("decoder_channels", "encoder_weights"))


def images(n, *size, seed=0):
    return torch.rand((n, 3, *size), generator=torch.Generator().manual_seed(seed))


def lively(variant):
    """A network in evaluation as training might leave it: nothing starts at zero, the logits are about N(0, 1)."""
    torch.manual_seed(zlib.crc32(name_of(variant).encode()))
    learning = {**SMALL_ENCODER, "freeze_encoder": False} if "preset" not in variant else {}
    choices = {"preset": "lite", **learning, **variant}
    model = create_model(choices.pop("preset"), **choices).train()
    pair = images(4, 64, 64, seed=8), images(4, 64, 64, seed=9)
    learning = [model.decoder] if model.config.freeze_encoder else [model.encoder, model.decoder]
    for module in (module for part in learning for module in part.modules()):
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts the last one of a residual block at 0
            module.momentum = None  # the plain mean of all it sees
            module.train()
    with torch.no_grad():
        model.logits(*pair)
        logits, head = model.eval().logits(*pair), model.decoder.head
        head.bias.sub_(logits.mean()).div_(logits.std())
        head.weight.div_(logits.std())
    return model


def prompt_size(model):
    """Another size than the query's wherever alignment allows it."""
    return (50, 70) if model.config.alignment == "none" else (64, 96)


def close(found, expected, *, atol):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_every_pair_of_choices_occurs():
    rows = [
        (v["alignment"], v["similarity"], v["fusion"], v["aligned_stages"], v["decoder"] + v.get("decoder_merge", ""))
        for v in CHOICES
    ]
    assert [len(set(column)) for column in zip(*rows, strict=True)] == [3, 2, 3, 4, 3]
    for one, other in itertools.combinations(zip(*rows, strict=True), 2):
        assert set(zip(one, other, strict=True)) == set(itertools.product(one, other))


@pytest.fixture(scope="class", params=VARIANTS, ids=name_of)
def model(request):
    """A variant in evaluation; tests leave it as it is."""
    return lively(request.param)


@pytest.fixture(scope="class")
def exact(model):
    """The variant in double precision: what differs then is more than rounding, which batches of other sizes change."""
    return copy.deepcopy(model).double()


class TestContract:
    def test_the_map_is_a_probability_at_the_querys_size(self, model):
        maps = model.segment(images(2, 64, 64), images(2, 64, 64, seed=1))
        assert maps.shape == (2, 1, 64, 64)
        assert maps.dtype == torch.float32
        assert 0 <= maps.min() < maps.max() - 0.1 < maps.max() <= 1

    def test_the_prompt_matters(self, model):
        maps = [model.segment(images(1, 64, 64), images(1, 64, 64, seed=seed)) for seed in (1, 2)]
        assert not torch.allclose(*maps, atol=1e-3)

    def test_any_size(self, model):
        maps = model.segment(images(2, 50, 70), images(1, *prompt_size(model), seed=1))
        assert maps.shape == (2, 1, 50, 70)
        assert maps.isfinite().all()

    def test_every_parameter_learns(self, model):
        learning = copy.deepcopy(model).train()
        learning.logits(images(2, 64, 64), images(2, 64, 64, seed=1)).square().mean().backward()
        gradients = {n: p.grad for n, p in learning.named_parameters() if p.requires_grad and not unused(n)}
        assert [name for name, gradient in gradients.items() if gradient is None] == []
        assert all(gradient.isfinite().all() for gradient in gradients.values())
        idle = [name for name, gradient in gradients.items() if gradient.abs().max() == 0]
        assert [name for name in idle if not cancels(name, model.config)] == []

    def test_what_does_not_learn_is_meant_not_to(self, model):
        fixed = {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
        frozen = {"encoder"} if model.config.freeze_encoder else set()
        assert fixed == frozen | ({"alignments"} if model.config.alignment == "hard" else set())

    def test_a_checkpoint_reproduces_the_map_to_the_bit(self, model, tmp_path):
        loaded = load_checkpoint(save_checkpoint(model, tmp_path / "checkpoint"))
        assert loaded.config == model.config
        pair = images(2, 64, 64), images(1, 64, 64, seed=1)
        assert torch.equal(loaded.segment(*pair), model.segment(*pair))

    def test_a_query_does_not_see_its_batch(self, exact):
        queries, prompts = images(3, 64, 64).double(), images(3, 64, 64, seed=1).double()
        together = exact.segment(queries, prompts)
        alone = [exact.segment(q[None], p[None]) for q, p in zip(queries, prompts, strict=True)]
        close(together, torch.cat(alone), atol=1e-9)

    def test_one_prompt_serves_many_queries(self, exact):
        queries, prompt = images(3, 64, 64).double(), images(1, 64, 64, seed=1).double()
        alone = torch.cat([exact.segment(query[None], prompt) for query in queries])
        close(exact.segment(queries, prompt), alone, atol=1e-9)
        close(exact.segment(queries, exact.encode_prompt(prompt)), alone, atol=1e-9)

    def test_half_precision(self, model):
        pair = images(2, 64, 64), images(2, 64, 64, seed=1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model.segment(*pair)
        for maps in (mixed, copy.deepcopy(model).bfloat16().segment(*pair)):
            assert maps.dtype == torch.float32
            assert 0 <= maps.min() <= maps.max() <= 1
            # single pixels may differ more: with eight bits hard alignment often chooses another position
            assert (maps - model.segment(*pair)).abs().mean() < 0.1

    def test_channels_last(self, model):
        pair = images(2, 64, 64), images(2, 64, 64, seed=1)
        other = copy.deepcopy(model).to(memory_format=torch.channels_last)
        maps = other.segment(*(side.to(memory_format=torch.channels_last) for side in pair))
        close(maps, model.segment(*pair), atol=1e-4)


#: An export takes seconds: one row of each alignment and decoder, and no two encoders of like blocks.
EXPORTED = [*CHOICES[::4], *FAMILIES[:3], FAMILIES[4], PAPERS, LITE]


def test_every_alignment_and_decoder_is_exported():
    assert {variant["alignment"] for variant in EXPORTED[:3]} == set(ALIGNMENTS)
    assert [variant["decoder"] for variant in EXPORTED[:3]] == ["unet", "fpn", "fpn"]


@pytest.mark.parametrize("variant", EXPORTED, ids=name_of)
def test_the_exported_program_takes_any_number_of_pairs(variant):
    model, batch = lively(variant), torch.export.Dim("batch", min=1, max=64)
    pair = images(2, 64, 64), images(2, 64, 64, seed=1)
    program = torch.export.export(model, pair, dynamic_shapes=({0: batch}, {0: batch})).module()
    for n in (1, 3):
        pairs = images(n, 64, 64, seed=2), images(n, 64, 64, seed=3)
        close(program(*pairs), model(*pairs), atol=1e-5)


def cancels(name, config):
    """A bias of the last stage, which a difference of features at the same place does not know."""
    return config.alignment == "none" and config.fusion == "absdiff" and name == "encoder.body.blocks.4.0.bn3.bias"


def unused(name):
    """EfficientNet's head convolution, kept so that parameters and checkpoints agree with the official network's."""
    return name.startswith(("encoder.body.conv_head.", "encoder.body.bn2."))

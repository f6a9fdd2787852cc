import json

import pytest
from pydantic import ValidationError

from metauas.errors import InputError
from metauas.model import PRESETS, ModelConfig, create_model, network_config


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_know_their_name(preset):
    assert network_config(preset) == PRESETS[preset]
    assert PRESETS[preset].preset == preset


def test_b4_is_the_papers():
    b4 = network_config("b4")
    assert (b4.alignment, b4.similarity, b4.fusion, b4.aligned_stages) == ("soft", "dot", "concat", 3)
    assert b4.freeze_encoder
    assert b4.encoder_weights == "imagenet"


def test_changes_leave_the_preset_alone():
    changed = network_config("lite", alignment="hard")
    assert changed.alignment == "hard"
    assert changed.model_copy(update={"alignment": PRESETS["lite"].alignment}) == PRESETS["lite"]


def test_a_configuration_survives_json():
    config = network_config("lite", decoder_channels=[8, 8, 8, 8, 8])
    assert ModelConfig.parse(json.loads(json.dumps(config.model_dump())), origin="test") == config


@pytest.mark.parametrize("preset", PRESETS)
def test_the_fpn_brings_its_own_numbers(preset):
    config = network_config(preset, decoder="fpn")
    assert len(config.decoder_channels) == 2
    assert config.decoder_attention == "none"
    decoder_alone = {"decoder": "unet", "decoder_channels": (9,) * 5, "decoder_attention": "none"}
    assert config.model_copy(update=decoder_alone) == PRESETS[preset].model_copy(update=decoder_alone)
    assert network_config(preset, decoder="fpn", decoder_channels=(8, 4)).decoder_channels == (8, 4)
    assert network_config(preset, decoder="unet") == PRESETS[preset]


def test_the_fpn_of_b4_is_the_authors():
    assert network_config("b4", decoder="fpn").decoder_channels == (256, 256)


def test_a_configuration_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        network_config("lite").alignment = "hard"


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("lita", {}, "preset='lita' is not known, did you mean 'lite'\\?; choose one of lite, b4"),
        ("lite", {"aligment": "soft"}, "aligment is not known, did you mean 'alignment'"),
        ("lite", {"alignment": "sotf"}, "alignment='sotf': .*'none', 'hard' or 'soft'"),
        ("lite", {"aligned_stages": 0}, "aligned_stages=0: .*greater than or equal to 1"),
        ("lite", {"decoder_channels": (8, "wide")}, "decoder_channels.1='wide': .*integer"),
        ("lite", {"decoder_channels": (8, 0)}, "decoder_channels.1=0: .*greater than or equal to 1"),
        ("lite", {"decoder_channels": ()}, "aligned_stages=3 needs a number for each of at least 2 blocks"),
        ("b4", {"decoder_channels": (8,)}, r"=\(8,\): aligned_stages=3 needs a number for each of at least 2 blocks"),
        ("b4", {"aligned_stages": 1, "decoder_channels": ()}, "needs a number for each of at least 1 blocks"),
        ("lite", {"decoder": "fnp"}, "decoder='fnp': .*'unet' or 'fpn'"),
        ("lite", {"decoder": "fpn", "decoder_merge": "add"}, "decoder_merge='add': .*'sum' or 'concat'"),
        ("b4", {"decoder_attention": "sce"}, "decoder_attention='sce': .*'none' or 'scse'"),
        ("b4", {"decoder": "fpn", "decoder_channels": (8,) * 5}, r"'fpn' takes two numbers, \(pyramid, segmentation\)"),
        ("b4", {"decoder": "fpn", "decoder_attention": "scse"}, "='scse': belongs to decoder='unet'; leave it out"),
        ("b4", {"decoder_merge": "concat"}, "decoder_merge='concat': belongs to decoder='fpn'; leave it out"),
    ],
)
def test_what_is_wrong_is_named(preset, changes, message):
    with pytest.raises(InputError, match=message):
        create_model(preset, **changes)


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(InputError, match=r"fusion='sum'.*similarty is not known"):
        network_config("lite", fusion="sum", similarty="dot")

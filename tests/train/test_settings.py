from types import MappingProxyType

import pytest

from metauas.ablations.notebooks import declared_parameters, notebooks_folder
from metauas.errors import InputError
from metauas.model import network_config
from metauas.train import TrainSettings


def test_without_choices_the_network_is_the_preset():
    assert TrainSettings().network_config == TrainSettings(network={}).network_config == network_config("lite")
    for preset in ("lite", "b4"):
        for network in (preset, {"preset": preset}):
            settings = TrainSettings(network=network)
            assert settings.network == {"preset": preset}
            assert settings.network_config == network_config(preset)


@pytest.mark.parametrize(
    "choice",
    [
        {"alignment": "hard"},
        {"similarity": "dot"},
        {"fusion": "concat"},
        {"aligned_stages": 1},
        {"encoder_weights": "random"},
        {"encoder": "resnet18"},
        {"freeze_encoder": False},
        {"decoder": "fpn"},
        {"decoder_attention": "scse"},
        {"decoder_channels": [160, 96]},
        {"decoder": "fpn", "decoder_merge": "concat"},
    ],
    ids=lambda choice: next(iter(choice)),
)
def test_every_choice_reaches_the_network(choice):
    network = TrainSettings(network=choice).network_config
    assert network == network_config("lite", **choice)
    assert network != network_config("lite")
    assert TrainSettings(network={"preset": "b4", **choice}).network_config == network_config("b4", **choice)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"aligned_stages": 9}, "network: .*aligned_stages=9"),
        ({"alignmnt": "hard"}, "alignmnt is not known, did you mean 'alignment'"),
        ({"decoder_merge": "concat"}, "belongs to decoder='fpn'; leave it out"),
        ("b5", "preset='b5' is not known.*choose one of lite, b4"),
        ({"preset": "lit"}, "preset='lit' is not known, did you mean 'lite'"),
        (None, "network=None: .*dictionary"),
    ],
)
def test_a_network_that_cannot_be(network, message):
    with pytest.raises(InputError, match="params.yaml: .*" + message):
        TrainSettings.parse({"network": network}, origin="params.yaml")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"step": 10}, "step is not known, did you mean 'steps'"),
        ({"steps": 0}, "steps=0: .*greater than or equal to 1"),
        ({"size": 16}, "size=16: .*greater than or equal to 32"),
        ({"learning_rate": 0}, "learning_rate=0: .*greater than 0"),
        ({"learning_rate": "fast"}, "learning_rate='fast': .*number"),
        ({"validation": {"evry": 5}}, "validation.evry is not known, did you mean 'every'"),
        ({"validation": {"every": 0}}, "validation.every=0: .*greater than or equal to 1"),
        ({"schedule": "cosine"}, "schedule='cosine': .*'one-cycle' or 'constant'"),
        ({"execution": {"mixed_precision": "fp8"}}, "execution.mixed_precision='fp8': .*'no', 'bf16' or 'fp16'"),
    ],
)
def test_what_is_wrong_is_named(wrong, message):
    with pytest.raises(InputError, match="params.yaml: " + message):
        TrainSettings.parse(wrong, origin="params.yaml")


def test_the_defaults_are_those_of_the_notebook():
    declared = declared_parameters(notebooks_folder() / "03_train.ipynb")
    defaults = TrainSettings().model_dump()
    assert {name: declared[name] for name in defaults} == defaults


def test_any_mapping_of_network_choices_is_checked():
    assert TrainSettings(network=MappingProxyType({"alignment": "hard"})).network["preset"] == "lite"
    with pytest.raises(ValueError, match="'none', 'hard' or 'soft'"):
        TrainSettings(network=MappingProxyType({"alignment": "x"}))

import pytest

from metauas.ablations.notebooks import declared_parameters, notebooks_folder
from metauas.errors import InputError
from metauas.model import model_config
from metauas.train import TrainSettings
from metauas.train.settings import NETWORK_CHOICES


def test_without_choices_the_network_is_the_preset():
    for preset in ("lite", "b4"):
        assert TrainSettings(preset=preset).network() == model_config(preset)


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
        {"decoder": "fpn", "decoder_merge": "concat"},
    ],
    ids=lambda choice: next(iter(choice)),
)
def test_every_choice_reaches_the_network(choice):
    assert set(choice) < set(NETWORK_CHOICES)
    preset = "b4" if "encoder_weights" in choice else "lite"
    network = TrainSettings(preset=preset, **choice).network()
    assert network == model_config(preset, **choice)
    assert network != model_config(preset)


def test_a_choice_that_no_network_allows():
    with pytest.raises(InputError, match="aligned_stages=9"):
        TrainSettings(aligned_stages=9).network()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"step": 10}, "step is not known, did you mean 'steps'"),
        ({"steps": 0}, "steps=0: .*greater than or equal to 1"),
        ({"size": 16}, "size=16: .*greater than or equal to 32"),
        ({"learning_rate": 0}, "learning_rate=0: .*greater than 0"),
        ({"learning_rate": "fast"}, "learning_rate='fast': .*number"),
        ({"shift": 1.5}, "shift=1.5: .*less than or equal to 1"),
        ({"schedule": "cosine"}, "schedule='cosine': .*'one-cycle' or 'constant'"),
        ({"preset": "b5"}, "preset='b5': .*'lite' or 'b4'"),
        ({"mixed_precision": "fp8"}, "mixed_precision='fp8': .*'no', 'bf16' or 'fp16'"),
    ],
)
def test_what_is_wrong_is_named(wrong, message):
    with pytest.raises(InputError, match="params.yaml: " + message):
        TrainSettings.parse(wrong, origin="params.yaml")


def test_the_defaults_are_those_of_the_notebook():
    declared = declared_parameters(notebooks_folder() / "03_train.ipynb")
    defaults = TrainSettings().model_dump()
    assert {name: declared[name] for name in defaults} == defaults

import pytest
import torch

from metauas.errors import InputError
from metauas.eval.interface import PromptedNetwork, check_evaluation_mode
from metauas.model import create_model


def test_training_mode_is_refused():
    network = create_model("lite")
    with pytest.raises(InputError, match=r"training mode; call model\.eval\(\) first"):
        check_evaluation_mode(network)
    check_evaluation_mode(network.eval())


def test_metauas_is_a_prompted_network_and_a_layer_is_not(model):
    assert isinstance(model, PromptedNetwork)
    assert not isinstance(torch.nn.Linear(1, 1), PromptedNetwork)

import pytest
import torch

from metauas.errors import InputError
from metauas.eval.network import PromptedNetwork, check_evaluation_mode, choose_device
from metauas.model import create_model


def test_training_mode_is_refused():
    network = create_model("lite")
    with pytest.raises(InputError, match=r"training mode; call model\.eval\(\) first"):
        check_evaluation_mode(network)
    check_evaluation_mode(network.eval())


def test_metauas_is_a_prompted_network_and_a_layer_is_not(model):
    assert isinstance(model, PromptedNetwork)
    assert not isinstance(torch.nn.Linear(1, 1), PromptedNetwork)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert choose_device("auto").type == expected
        assert choose_device("cpu").type == "cpu"


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device='cuda': PyTorch finds no GPU"):
        choose_device("cuda")
    with pytest.raises(InputError, match="device='gpu' is not known"):
        choose_device("gpu")

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


def with_accelerator(monkeypatch, kind, *, count=1):
    """Let PyTorch find an accelerator of a kind, or none."""
    found = None if kind is None else torch.device(kind)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: found)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


@pytest.mark.parametrize(("kind", "expected"), [("cuda", "cuda"), ("mps", "mps"), ("xpu", "xpu"), (None, "cpu")])
def test_auto_takes_an_accelerator_where_there_is_one(monkeypatch, kind, expected):
    with_accelerator(monkeypatch, kind)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


def test_one_of_several_gpus(monkeypatch):
    with_accelerator(monkeypatch, "cuda", count=2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="device='cuda:2': PyTorch finds 2 of them, counted from 0"):
        choose_device("cuda:2")


def test_a_device_that_is_not_there(monkeypatch):
    with_accelerator(monkeypatch, None)
    with pytest.raises(InputError, match="device='cuda': PyTorch finds cpu here; choose one of them, or auto"):
        choose_device("cuda")
    with_accelerator(monkeypatch, "mps")
    with pytest.raises(InputError, match="device='cuda:0': PyTorch finds cpu and mps here"):
        choose_device("cuda:0")
    with pytest.raises(InputError, match="device='gpu' is not known; choose auto, cpu, cuda"):
        choose_device("gpu")

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from metauas.errors import InputError
from metauas.model import create_model, load_checkpoint, network_config, save_checkpoint
from metauas.model.weights.tensor_files import read_tensors, write_tensors
from metauas.released import released_names, resolve_checkpoint


@pytest.fixture
def saved(lite, tmp_path):
    return save_checkpoint(lite, tmp_path / "checkpoint")


def rewrite(folder, change):
    """Change the tensors of a checkpoint in place, keeping its header."""
    header, tensors = read_tensors(folder / "model.safetensors")
    change(tensors)
    write_tensors(folder / "model.safetensors", tensors, header=header)


def test_what_is_written_is_read(lite, saved):
    loaded = load_checkpoint(saved)
    assert loaded.config == lite.config
    assert not loaded.training
    expected, found = lite.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_folder_and_file_are_the_same(lite, saved):
    folder, file = load_checkpoint(saved), load_checkpoint(str(saved / "model.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(folder.parameters(), file.parameters(), strict=True))


def test_the_configuration_can_be_read_by_people(lite, saved):
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert config["preset"] == "lite"
    assert config["alignment"] == lite.config.alignment
    assert len((saved / "config.json").read_text(encoding="utf-8").splitlines()) > len(config)


def test_the_weights_file_is_complete_by_itself(saved):
    (saved / "config.json").unlink()
    assert load_checkpoint(saved).config.preset == "lite"


def test_loading_needs_no_pretrained_weights(tmp_path):
    """The configuration says where the encoder came from; the checkpoint holds what it has become."""
    model = create_model("b4", encoder="test_efficientnet", encoder_weights="random").eval()
    model.config = network_config("b4", encoder="test_efficientnet", encoder_weights="/gone/weights.pth")
    loaded = load_checkpoint(save_checkpoint(model, tmp_path))
    assert loaded.config.encoder_weights == "/gone/weights.pth"
    assert torch.equal(loaded.encoder.body.conv_stem.weight, model.encoder.body.conv_stem.weight)
    assert not any(p.requires_grad for p in loaded.encoder.parameters())


def test_networks_in_channels_last_can_be_saved(tmp_path):
    model = create_model("lite").to(memory_format=torch.channels_last)
    loaded = load_checkpoint(save_checkpoint(model, tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_the_right_preset_may_be_asked_for(saved):
    assert load_checkpoint(saved, preset="lite").config.preset == "lite"
    with pytest.raises(InputError, match="is of preset 'lite', not 'b4'; set pr"):
        load_checkpoint(saved, preset="b4")


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"gone does not exist .* give a checkpoint folder"):
        load_checkpoint(tmp_path / "gone")
    with pytest.raises(InputError, match=r"model\.safetensors does not exist .* give a checkpoint folder"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.999])
def test_truncated_files(saved, share):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read as safetensors .* copy it again"):
        load_checkpoint(saved)


def test_tensors_of_others(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"other\.safetensors holds no metauas configuration"):
        load_checkpoint(tmp_path / "other.safetensors")


def test_a_configuration_of_another_version(saved):
    header, tensors = read_tensors(saved / "model.safetensors")
    header["config"] |= {"alignement": "soft"}
    write_tensors(saved / "model.safetensors", tensors, header=header)
    with pytest.raises(InputError, match=r"configuration in .*: alignement is not known, did you mean 'alignment'"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("decoder.head.bias"), r"missing: decoder\.head\.bias$"),
        (lambda t: t.update(extra=torch.zeros(1)), r"unexpected: extra$"),
        (
            lambda t: t.update({"decoder.head.bias": torch.zeros(2)}),
            r"of another shape: decoder\.head\.bias \(2,\) instead of \(1,\)$",
        ),
        (lambda t: t.clear(), r"missing: .* and \d+ more$"),
    ],
    ids=["missing", "unexpected", "other shape", "all"],
)
def test_tensors_that_do_not_fit(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(InputError, match="does not fit this network: " + message):
        load_checkpoint(saved)


def test_all_that_does_not_fit_is_named_at_once(saved):
    rewrite(saved, lambda t: t.update(extra=t.pop("decoder.head.bias")))
    with pytest.raises(InputError, match=r"missing: decoder\.head\.bias; unexpected: extra"):
        load_checkpoint(saved)


def test_a_failing_save_leaves_the_old_checkpoint(monkeypatch, lite, saved):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def half_a_file(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half_a_file)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(create_model("lite"), saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    monkeypatch.undo()
    assert torch.equal(load_checkpoint(saved).decoder.head.weight, lite.decoder.head.weight)


def test_a_failing_first_save_leaves_nothing(monkeypatch, lite, tmp_path):
    def fail(path, content):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(lite, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_other_tools_can_read_the_weights(lite, saved):
    tensors = load_file(saved / "model.safetensors")
    assert tensors.keys() == lite.state_dict().keys()


@pytest.mark.parametrize("name", released_names())
def test_the_file_for_people_says_what_the_released_weights_say(name):
    """Only the weights' own header counts: a config.json that was edited alone would be a lie."""
    folder = resolve_checkpoint(name)
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert told == load_checkpoint(name).config.model_dump(mode="json")


def test_checkpoints_of_version_0_1_are_read(tmp_path, b4):
    """They have an entry of the metadata for each key, and no statistics of the input."""
    tensors = {name: tensor.contiguous() for name, tensor in b4.state_dict().items()}
    metadata = {"config": json.dumps(b4.config.model_dump()), "format": "pt"}
    save_file(tensors, tmp_path / "model.safetensors", metadata=metadata)
    loaded = load_checkpoint(tmp_path)
    assert loaded.config == b4.config
    assert torch.equal(loaded.decoder.head.weight, b4.decoder.head.weight)

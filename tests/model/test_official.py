"""The author's checkpoints: names, files, and the official network's output reproduced through a file."""

import importlib.util
import json
import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

import metauas
from metauas.errors import InputError
from metauas.files.images import resize_images, resize_mask, resize_mask_official, to_tensor
from metauas.model import load_checkpoint, load_official, network_config, save_checkpoint
from metauas.model.weights.official import official_name
from metauas.seeding import rng_for

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference" / "model"
with_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the official network's numbers are not here")


class Callback:
    """An object of a class that only the training code has."""


class Call:
    """Pickled, it asks for a command to be run on loading."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture(scope="module")
def keys():
    return json.loads((REFERENCE / "keys.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def official():
    with np.load(REFERENCE / "sa-cat-unet-256.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def state(b4):
    """An official state dict: filled by the reference's rule, or, without it, with numbers of each name's own."""
    names = {official_name(name): tuple(tensor.shape) for name, tensor in b4.state_dict().items()}
    fill = _reference_fill() if REFERENCE.is_dir() else _own_fill
    return {name: torch.from_numpy(np.asarray(fill(name, shape))) for name, shape in names.items()}


def _reference_fill():
    spec = importlib.util.spec_from_file_location("recipe", REFERENCE / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill


def _own_fill(name, shape):
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    values = rng_for(name).random(shape, dtype=np.float32)
    return values + 0.5 if len(shape) == 1 else (values - 0.5) / np.float32(np.prod(shape[1:])) ** 0.5


@pytest.fixture
def save(tmp_path):
    """Write what is given as a checkpoint; the file goes after the test, for a network takes 90 MB."""
    path = tmp_path / "metauas-256.ckpt"

    def write(content):
        torch.save(content, path)
        return path

    yield write
    path.unlink()


@pytest.fixture(scope="module")
def loaded(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "metauas-256.ckpt"
    torch.save(state, path)
    model = load_official(path)
    path.unlink()
    return model


def assert_loaded(model, state):
    found = model.state_dict()
    assert {official_name(name) for name in found} == state.keys()
    assert all(torch.equal(tensor, state[official_name(name)]) for name, tensor in found.items())


def without(state, name):
    return {n: tensor for n, tensor in state.items() if n != name}


def sides(official):
    return tuple(torch.from_numpy(official[side].astype(np.float32) / 255) for side in ("query", "prompt"))


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        ("encoder.body.conv_stem.weight", "encoder._conv_stem.weight"),
        ("encoder.body.bn1.running_var", "encoder._bn0.running_var"),
        ("encoder.body.blocks.0.1.conv_pw.weight", "encoder._blocks.1._project_conv.weight"),
        ("encoder.body.blocks.1.0.conv_pw.weight", "encoder._blocks.2._expand_conv.weight"),
        ("encoder.body.blocks.6.1.se.conv_expand.bias", "encoder._blocks.31._se_expand.bias"),
        ("alignments.0.reduce.weight", "alignment.2.alignment_layer.dimensionality_reduction.weight"),
        ("decoder.blocks.3.conv2.1.bias", "decoder.blocks.3.conv2.1.bias"),
        ("decoder.blocks.0.attention_out.position.0.bias", "decoder.blocks.0.attention2.attention.sSE.0.bias"),
        ("decoder.head.weight", "mask_head.weight"),
    ],
)
def test_names(own, theirs):
    assert official_name(own) == theirs


def test_no_two_entries_share_an_official_name(b4):
    names = list(b4.state_dict())
    assert len({official_name(name) for name in names}) == len(names)


@with_reference
def test_every_entry_has_one_counterpart_of_its_shape(keys, b4):
    ours = {official_name(name): tuple(tensor.shape) for name, tensor in b4.state_dict().items()}
    assert len(ours) == keys["entries"]
    assert ours == {entry["name"]: tuple(entry["shape"]) for entry in keys["keys"]}


@with_reference
def test_the_same_entries_train(keys, b4):
    ours = {official_name(name) for name, parameter in b4.named_parameters() if parameter.requires_grad}
    assert ours == {entry["name"] for entry in keys["keys"] if entry["trainable"]}


@with_reference
def test_the_map_is_the_official_one(loaded, official):
    maps = loaded.segment(*sides(official))
    np.testing.assert_allclose(maps.numpy(), official["map"], rtol=0, atol=1e-5)


@with_reference
def test_the_statistics_of_every_stage_are_the_official_ones(loaded, official):
    for side, images in zip(("query", "prompt"), sides(official), strict=True):
        for level, feature in enumerate(loaded.encode(images), start=1):
            expected = official[f"stats/{side}_feature{level}"]
            assert tuple(feature.shape) == tuple(official[f"shape/{side}_feature{level}"])
            found = [feature.double().mean().item(), feature.double().std(correction=0).item()]
            np.testing.assert_allclose(found, expected[:2], rtol=1e-4, atol=1e-5)


@with_reference
def test_resizing_is_the_official_one():
    with np.load(REFERENCE / "resize-300x400-to-256.npz") as file:
        image, expected = file["image"], file["resized_image"]
    found = resize_images(to_tensor(image.transpose(1, 2, 0))[None], (256, 256))[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


@with_reference
def test_resizing_a_mask_is_the_official_one():
    with np.load(REFERENCE / "resize-300x400-to-256.npz") as file:
        mask, expected = file["mask"] > 0, file["binary_mask"][0]
    assert (resize_mask_official(mask, (256, 256)) == expected).all()
    assert (resize_mask(mask, (256, 256)) & expected).sum() == expected.sum()


def test_every_number_of_the_file_arrives(loaded, state):
    assert_loaded(loaded, state)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.encoder.parameters())


def test_the_configuration_says_where_the_encoder_came_from(loaded):
    assert loaded.config == network_config("b4")


def test_converted_it_gives_the_same_map(loaded, state, tmp_path, random_images):
    converted = load_checkpoint(save_checkpoint(loaded, tmp_path / "ours"))
    (tmp_path / "ours" / "model.safetensors").unlink()
    assert converted.config == loaded.config
    assert_loaded(converted, state)
    queries, prompt = random_images(1, 64, 64), random_images(1, 64, 64, seed=1)
    assert torch.equal(converted.segment(queries, prompt), loaded.segment(queries, prompt))


@pytest.mark.parametrize("prefix", ["", "module.model."])
def test_lightnings_checkpoints_with_objects_of_any_class(save, state, tmp_path, prefix):
    """Nothing of them is needed, and nothing of them is executed."""
    target = tmp_path / "called"
    path = save(
        {
            "state_dict": {prefix + name: tensor for name, tensor in state.items()},
            "epoch": 49,
            "hyper_parameters": {"args": Namespace(lr=1e-4), "own": Callback()},
            "callbacks": {Callback: Call(f"touch {target}")},
        }
    )
    assert_loaded(metauas.load_official(path), state)
    assert not target.exists()


def test_half_precision_is_taken_as_full(save, state):
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    model = load_official(save(half))
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert torch.equal(model.decoder.head.weight, state["mask_head.weight"].half().float())


def test_a_checkpoint_is_official_by_its_suffix(save, state):
    assert_loaded(load_checkpoint(save(state), preset="b4"), state)


def test_an_official_checkpoint_is_of_preset_b4(save):
    with pytest.raises(InputError, match=r"metauas-256\.ckpt is of preset 'b4', not 'lite'; set preset='b4'"):
        load_checkpoint(save({"weight": torch.ones(1)}), preset="lite")


def test_a_folder_may_be_called_like_one(lite, tmp_path):
    assert load_checkpoint(save_checkpoint(lite, tmp_path / "best.ckpt")).config == lite.config


def test_what_does_not_fit_is_listed_in_the_files_own_names(save, state):
    changed = without(state, "encoder._blocks.30._bn0.bias") | {"mask_head.bias": torch.zeros(2)}
    path = save({f"model.{name}": tensor for name, tensor in changed.items()} | {"loss.weight": torch.ones(1)})
    message = (
        r"metauas-256\.ckpt does not fit this network: missing: model\.encoder\._blocks\.30\._bn0\.bias; "
        r"unexpected: loss\.weight; of another shape: model\.mask_head\.bias \(2,\) instead of \(1,\); "
        r"give the author's metauas-256\.ckpt or metauas-512\.ckpt"
    )
    with pytest.raises(InputError, match=message):
        load_official(path)


def test_a_single_name_that_is_missing(save, state):
    with pytest.raises(InputError, match=r"network: missing: mask_head\.weight; give the author's"):
        load_official(save(without(state, "mask_head.weight")))


def test_another_network(save):
    with pytest.raises(InputError, match=r"missing: .* and \d+ more; unexpected: fc\.weight; give the author's"):
        load_official(save({"fc.weight": torch.ones(2, 2)}))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_file(save, share):
    path = save({"mask_head.bias": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"metauas-256\.ckpt cannot be read .*: give the author's"):
        load_official(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"gone\.ckpt does not exist .*; give the author's"):
        load_checkpoint(tmp_path / "gone.ckpt")


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="module 'metauas' has no attribute 'load_offical'"):
        metauas.load_offical  # noqa: B018

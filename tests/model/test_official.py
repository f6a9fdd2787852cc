"""The official network's output, reproduced through the map of parameter names."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from metauas.images import resize_images, to_tensor
from metauas.model import create_model
from metauas.model.checkpoint import load_state

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference" / "model"
pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the official network's numbers are not here")

STAGES = (2, 4, 4, 6, 6, 8, 2)  # blocks in each stage of EfficientNet-b4
STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
DECODER = {
    "attention1.attention.cSE": "attention_in.channel",
    "attention1.attention.sSE": "attention_in.position",
    "attention2.attention.cSE": "attention_out.channel",
    "attention2.attention.sSE": "attention_out.position",
}


def our_name(official):
    """Translate one name of the official state dict."""
    part, rest = official.split(".", 1)
    if part == "mask_head":
        return f"decoder.head.{rest}"
    if part == "alignment":  # official 0 is the deepest stage, ours the shallowest aligned one
        level, _, _, leaf = rest.split(".")
        return f"alignments.{2 - int(level)}.reduce.{leaf}"
    if part == "decoder":
        for theirs, ours in DECODER.items():
            rest = rest.replace(theirs, ours)
        return f"decoder.{rest}"
    return f"encoder.body.{_encoder_name(rest)}"


def _encoder_name(official):
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", official)
    if found is None:
        module, leaf = official.split(".")
        return f"{STEM[module]}.{leaf}"
    index, module, leaf = int(found[1]), found[2], found[3]
    stage = int(np.searchsorted(np.cumsum(STAGES), index, side="right"))
    names = SQUEEZE | (FIRST if stage == 0 else LATER)
    return f"blocks.{stage}.{index - sum(STAGES[:stage])}.{names[module]}.{leaf}"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("recipe", REFERENCE / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def keys():
    return json.loads((REFERENCE / "keys.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def official():
    with np.load(REFERENCE / "sa-cat-unet-256.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def filled(recipe, keys):
    model = create_model("b4", encoder_weights="random").eval()
    entries = {k["name"]: torch.from_numpy(np.asarray(recipe.fill(k["name"], k["shape"]))) for k in keys["keys"]}
    load_state(model, {our_name(name): tensor for name, tensor in entries.items()}, origin="the official network")
    return model


def sides(official):
    return tuple(torch.from_numpy(official[side].astype(np.float32) / 255) for side in ("query", "prompt"))


def test_every_entry_has_one_counterpart_of_its_shape(keys, b4):
    theirs = {our_name(entry["name"]): tuple(entry["shape"]) for entry in keys["keys"]}
    assert len(theirs) == keys["entries"]
    assert theirs == {name: tuple(tensor.shape) for name, tensor in b4.state_dict().items()}


def test_the_same_entries_train(keys, b4):
    theirs = {our_name(entry["name"]) for entry in keys["keys"] if entry["trainable"]}
    assert theirs == {name for name, parameter in b4.named_parameters() if parameter.requires_grad}


def test_the_map_is_the_official_one(filled, official):
    maps = filled.segment(*sides(official))
    np.testing.assert_allclose(maps.numpy(), official["map"], rtol=0, atol=1e-5)


def test_the_statistics_of_every_stage_are_the_official_ones(filled, official):
    for side, images in zip(("query", "prompt"), sides(official), strict=True):
        for level, feature in enumerate(filled.encode(images), start=1):
            expected = official[f"stats/{side}_feature{level}"]
            assert tuple(feature.shape) == tuple(official[f"shape/{side}_feature{level}"])
            found = [feature.double().mean().item(), feature.double().std(correction=0).item()]
            np.testing.assert_allclose(found, expected[:2], rtol=1e-4, atol=1e-5)


def test_resizing_is_the_official_one():
    with np.load(REFERENCE / "resize-300x400-to-256.npz") as file:
        image, expected = file["image"], file["resized_image"]
    found = resize_images(to_tensor(image.transpose(1, 2, 0))[None], (256, 256))[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)

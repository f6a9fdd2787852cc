"""Large images in overlapping tiles."""

import pytest
import torch

from metauas.errors import InputError
from metauas.model import TiledNetwork, create_model

TILE = 64


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(0)
    return create_model("lite").eval()


@pytest.fixture(scope="module")
def tiled(lite):
    return TiledNetwork(lite, side=TILE)


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_an_image_of_one_tile_is_the_networks_own(lite, tiled):
    query, prompt = images(2, 3, TILE, TILE), images(1, 3, TILE, TILE, seed=1)
    assert torch.equal(tiled.segment(query, prompt), lite.segment(query, prompt))


@pytest.mark.parametrize("size", [(65, 64), (130, 200), (50, 300), (256, 256)])
def test_maps_cover_any_size(tiled, size):
    found = tiled.segment(images(1, 3, *size), images(1, 3, *size, seed=1))
    assert found.shape == (1, 1, *size)
    assert found.isfinite().all()
    assert 0 <= found.min() < found.max() <= 1


def test_every_tile_sees_its_region_of_the_prompt(tiled, monkeypatch):
    """Coordinates as pixels: each region holds its tile, a margin around it, and nothing outside of the image."""
    rows, columns = torch.meshgrid(torch.arange(200.0), torch.arange(150.0), indexing="ij")
    image = torch.stack([rows, columns, torch.zeros_like(rows)])[None]
    seen = []

    def logits(tiles, regions):
        seen.extend(zip(tiles, regions, strict=True))
        return torch.zeros(len(tiles), 1, *tiles.shape[-2:])

    monkeypatch.setattr(tiled.model, "logits", logits)
    tiled.segment(image, image)
    assert len(seen) == 4 * 3
    for tile, region in seen:
        for axis, length in enumerate((200, 150)):
            low, high = tile[axis].min(), tile[axis].max()
            assert region[axis].min() <= max(0, low - 16) or region[axis].max() == length - 1
            assert region[axis].max() >= min(length - 1, high + 16) or region[axis].min() == 0
        assert region.shape[-2:] == (96, 96)


def test_blending_leaves_no_seams(tiled, monkeypatch):
    """Where all tiles agree, so does the map."""
    constant = 0.3
    monkeypatch.setattr(tiled.model, "logits", lambda tiles, _: torch.full_like(tiles[:, :1], constant))
    found = tiled.segment(images(1, 3, 170, 190), images(1, 3, 170, 190))
    torch.testing.assert_close(found, torch.full_like(found, constant).sigmoid())


def test_prompts_of_another_size_and_several_of_them(tiled):
    query = images(2, 3, 100, 120)
    one, other = images(1, 3, 80, 90, seed=1), images(1, 3, 80, 90, seed=2)
    several = tiled.segment(query, torch.stack([one, other], dim=1))
    assert several.shape == (2, 1, 100, 120)
    each = tiled.segment(query, torch.cat([one, other]))
    torch.testing.assert_close(each[1:], tiled.segment(query[1:], other))
    with pytest.raises(InputError, match="3 prompts for 2 queries"):
        tiled.segment(query, images(3, 3, 100, 120))


def test_the_nearest_prompt_is_chosen_by_the_whole_image(lite, tiled):
    assert tiled.embed(images(2, 3, 300, 200)).shape == lite.embed(images(2, 3, TILE, TILE)).shape


def test_tiles_must_have_a_size(lite):
    with pytest.raises(InputError, match="at least 32 pixels"):
        TiledNetwork(lite, side=8)

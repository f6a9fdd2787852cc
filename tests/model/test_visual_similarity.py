import csv
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from torch.nn import functional as F

from metauas.errors import InputError, WeightsUnavailableError
from metauas.files.images import to_tensor, to_uint8
from metauas.model import EncoderSimilarity, MetaUASPlus, TowerSimilarity, create_model, with_plus
from metauas.model.encoder import create_encoder
from metauas.model.variants.visual_similarity import CLIP_TOWER, CLIP_WEIGHTS, check_strides

TINY, SIDE, PATCH = "test_vit", 160, 16  # timm's own test model: 10 × 10 patches, 6 blocks
GRID = SIDE // PATCH
PAPER = Path(__file__).parents[2].parent / "shared" / "reference" / "paper"


def create(**options):
    torch.manual_seed(0)
    return TowerSimilarity("random", name=TINY, **options)


@pytest.fixture(scope="module")
def similarity():
    """A tiny tower with random weights; tests leave it as it is."""
    return create()


@pytest.fixture(scope="module")
def plus(lite, similarity):
    return MetaUASPlus(lite, similarity)


# --- what the map says


def test_an_image_differs_in_nothing_from_itself(similarity, random_images):
    images = random_images(3, 96, 80)
    maps = similarity.segment(images, images)
    assert maps.shape == (3, 1, 96, 80)
    assert maps.dtype == torch.float32
    assert maps.max() <= 1e-6  # float32 cosines of unit vectors


@pytest.mark.parametrize(("row", "column"), [(0, 0), (4, 7), (9, 3)])
def test_a_changed_patch_is_the_maximum(similarity, random_images, row, column):
    prompt = random_images(1, SIDE, SIDE)
    place = (..., slice(row * PATCH, (row + 1) * PATCH), slice(column * PATCH, (column + 1) * PATCH))
    query = prompt.clone()
    query[place] = 1 - query[place]
    anomaly_map = similarity.segment(query, prompt)
    assert anomaly_map[place].max() == anomaly_map.max()
    outside = anomaly_map.clone()
    outside[place] = 0
    assert outside.mean() < 0.1 * anomaly_map[place].mean()


def test_the_score_is_half_of_one_minus_the_highest_cosine(similarity, random_images):
    query, prompt = random_images(2, SIDE, SIDE).split(1)
    with torch.no_grad():  # without the class token
        rows, columns = (
            similarity.tower.forward_features((image - similarity.normalise.mean) / similarity.normalise.std)[0, 1:]
            for image in (query, prompt)
        )
    cosines = F.cosine_similarity(rows[:, None].double(), columns[None].double(), dim=-1)
    expected = ((1 - cosines.amax(dim=1)) / 2).view(1, 1, GRID, GRID)
    enlarged = F.interpolate(expected, size=(SIDE, SIDE), mode="bilinear")
    torch.testing.assert_close(similarity.segment(query, prompt).double(), enlarged, rtol=0, atol=1e-6)


def test_the_order_of_the_prompts_patches_does_not_matter(similarity, random_images):
    query, prompt = random_images(2, SIDE, SIDE).split(1)
    (patches,) = similarity.encode_prompt(prompt)
    order = torch.randperm(GRID * GRID, generator=torch.Generator().manual_seed(0))
    found = similarity.segment(query, (patches[:, order],))
    torch.testing.assert_close(found, similarity.segment(query, prompt), rtol=0, atol=1e-6)


def test_a_shift_by_whole_patches_costs_only_what_position_embeddings_make_of_it(random_images):
    """Attention knows places by their embeddings alone: without them a rolled prompt has the same patches."""
    similarity, image = create(), random_images(1, SIDE, SIDE)
    rolled = image.roll((2 * PATCH, -3 * PATCH), dims=(-2, -1))
    torch.nn.init.normal_(similarity.tower.pos_embed)
    assert similarity.segment(image, rolled).max() > 1e-3
    torch.nn.init.zeros_(similarity.tower.pos_embed)
    assert similarity.segment(image, rolled).max() <= 1e-6


def test_maps_are_in_range_for_the_farthest_images(similarity):
    black, white = torch.zeros(1, 3, 40, 40), torch.ones(1, 3, 40, 40)
    low, high = similarity.segment(white, black).aminmax()
    assert 0 <= low <= high <= 1
    assert high > 0.01


# --- prompts


def test_an_encoded_prompt_is_as_good_as_its_image(similarity, random_images):
    queries, prompt = random_images(3, 64, 64), random_images(1, 64, 64, seed=1)
    encoded = similarity.encode_prompt(prompt)
    assert torch.equal(similarity.segment(queries, encoded), similarity.segment(queries, prompt))


def test_one_prompt_each(similarity, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(2, 64, 64, seed=1)
    single = [
        similarity.segment(query, prompt) for query, prompt in zip(queries.split(1), prompts.split(1), strict=True)
    ]
    torch.testing.assert_close(similarity.segment(queries, prompts), torch.cat(single), rtol=0, atol=1e-6)


def test_of_several_prompts_the_most_similar_patch_counts(similarity, random_images):
    query = random_images(1, GRID, GRID)  # whose map is that of the patches, not enlarged
    prompts = random_images(3, SIDE, SIDE, seed=1)
    several = similarity.segment(query, prompts[None])
    single = torch.cat([similarity.segment(query, prompt) for prompt in prompts.split(1)])
    torch.testing.assert_close(several, single.amin(dim=0, keepdim=True), rtol=0, atol=1e-6)
    assert len(single.argmin(dim=0).unique()) > 1


def test_a_prompt_among_others_is_found(similarity, random_images):
    queries, others = random_images(2, 64, 64), random_images(4, 64, 64, seed=1)
    several = torch.cat([others, queries])[None]
    assert similarity.segment(queries, several).max() <= 1e-6


def test_several_prompts_each(similarity, random_images):
    queries, prompts = random_images(2, 64, 64), random_images(6, 64, 64, seed=1).unflatten(0, (2, 3))
    single = [similarity.segment(query, own) for query, own in zip(queries.split(1), prompts.split(1), strict=True)]
    torch.testing.assert_close(similarity.segment(queries, prompts), torch.cat(single), rtol=0, atol=1e-6)


def test_neither_one_prompt_nor_one_each(similarity, random_images):
    with pytest.raises(InputError, match=r"2 prompts for 3 queries; .* as \(1, K, 3, H, W\)"):
        similarity.segment(random_images(3, 32, 32), random_images(2, 32, 32))


# --- layers


def test_maps_of_several_layers_are_averaged(random_images):
    query, prompt = random_images(2, 64, 64).split(1)
    single = [create(layers=[layer]).segment(query, prompt) for layer in (1, 3, -1)]
    several = create(layers=[1, 3, -1]).segment(query, prompt)
    torch.testing.assert_close(several, torch.stack(single).mean(dim=0), rtol=0, atol=1e-6)
    assert not torch.allclose(single[0], single[2], atol=1e-3)


@pytest.mark.parametrize("layers", [(), (6,), (-7,), (0, 9)])
def test_layers_that_are_not_there(layers):
    with pytest.raises(InputError, match="give one or more blocks from -6 to 5"):
        create(layers=layers)


# --- images in, devices and precisions


def test_images_are_resized_as_clip_does(similarity, monkeypatch):
    """With Pillow's bicubic, to its rounding; mid greys, since Pillow also clips between rows and columns."""
    pixels = np.random.default_rng(0).integers(80, 176, (200, 300, 3), dtype=np.uint8)
    seen = []
    monkeypatch.setattr(
        similarity.tower, "forward_intermediates", lambda images, **_: seen.append(images) or [torch.ones(1, 4, 2, 2)]
    )
    similarity.encode_prompt(to_tensor(pixels)[None])
    expected = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    found = to_uint8((seen[0] * similarity.normalise.std + similarity.normalise.mean)[0])
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_the_query_may_have_any_size(similarity, random_images):
    assert similarity.segment(random_images(2, 33, 470), random_images(1, 20, 20)).shape == (2, 1, 33, 470)


def test_half_precision_towers(random_images):
    images, other = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    full, half = create(), create().to(torch.bfloat16)
    maps = half.segment(images, other)
    assert maps.dtype == torch.float32
    assert half.segment(images, images).max() <= 1e-6
    torch.testing.assert_close(maps, full.segment(images, other), rtol=0, atol=0.02)  # bfloat16 keeps 8 bits


def test_autocast(similarity, random_images):
    images, other = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    full = similarity.segment(images, other)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps, own = similarity.segment(images, other), similarity.segment(images, images)
    assert maps.dtype == torch.float32
    assert own.max() <= 1e-6
    assert not torch.equal(maps, full)
    torch.testing.assert_close(maps, full, rtol=0, atol=0.02)


def test_images_follow_the_tower_to_its_device(random_images):
    with torch.device("meta"):
        tower = create()
    (patches,) = tower.encode_prompt(random_images(1, 64, 64))
    assert patches.device.type == "meta"


def test_nothing_learns(random_images):
    similarity = create()
    similarity.train()
    assert not any(module.training for module in similarity.modules())
    assert not any(p.requires_grad for p in similarity.parameters())
    assert not similarity.segment(*random_images(2, 32, 32).requires_grad_().split(1)).requires_grad


# --- towers and weights


@pytest.fixture(scope="module")
def papers_tower():
    with torch.device("meta"):
        return TowerSimilarity("random")


def test_the_papers_tower(papers_tower):
    tower = papers_tower.tower
    assert papers_tower.size == (240, 240)
    assert tower.pretrained_cfg["mean"] == OPENAI_CLIP_MEAN
    assert tower.pretrained_cfg["std"] == OPENAI_CLIP_STD
    (patches,) = papers_tower.encode_prompt(torch.rand(2, 3, 50, 60, device="meta"))
    assert patches.shape == (2, 15 * 15, tower.embed_dim)


@pytest.mark.skipif(not PAPER.is_dir(), reason="the paper's tables are not here")
def test_the_papers_tower_has_the_papers_parameters(papers_tower):
    """Table 2 counts the projection into the space shared with text, which is not used here."""
    with (PAPER / "table2.csv").open(encoding="utf-8") as file:
        millions = {row["method"]: float(row["params_million"]) for row in csv.DictReader(file)}
    projection = papers_tower.tower.embed_dim * timm.models.get_pretrained_cfg(CLIP_TOWER).num_classes
    found = sum(p.numel() for p in papers_tower.parameters()) + projection
    assert round(found / 1e6, 1) == pytest.approx(millions["MetaUAS*+"] - millions["MetaUAS"])


def test_timm_has_the_papers_weights():
    assert timm.list_pretrained(f"{CLIP_TOWER}.*") == [f"{CLIP_TOWER}.{CLIP_WEIGHTS}"]


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_weights_from_a_file(tmp_path, similarity, random_images, ending):
    saved, path = similarity.tower.state_dict(), tmp_path / f"tower{ending}"
    save_file(saved, path) if ending == ".safetensors" else torch.save(saved, path)
    torch.manual_seed(1)
    loaded = TowerSimilarity(path, name=TINY)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.tower.state_dict().items())
    images = random_images(2, 64, 64).split(1)
    assert torch.equal(loaded.segment(*images), similarity.segment(*images))


def test_weights_of_another_tower(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(InputError, match=r"other\.pth does not hold the weights of encoder 'test_vit'"):
        TowerSimilarity(path, name=TINY)


def test_weights_that_are_not_known_name_those_that_are():
    with pytest.raises(InputError, match=r"openai does not exist .* 'random', or timm's own r160_in1k"):
        TowerSimilarity("openai", name=TINY)


def test_weights_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsUnavailableError) as error:
        TowerSimilarity()
    for word in (CLIP_WEIGHTS, CLIP_TOWER, "offline", "path of a weights file", "'random'"):
        assert word in str(error.value)
    assert "encoder_weights" not in str(error.value)


def test_cached_weights_need_no_network(monkeypatch, tmp_path, similarity):
    """A cache as huggingface_hub lays it out, read by timm's own loader."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--timm--test_vit.r160_in1k"
    for part in ("refs", "snapshots/" + "0" * 40):
        (folder / part).mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    saved = similarity.tower.state_dict()
    save_file(saved, folder / "snapshots" / ("0" * 40) / "model.safetensors")
    loaded = TowerSimilarity("r160_in1k", name=TINY).tower.state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (CLIP_TOWER[:-1], f"is not known to timm, did you mean '{CLIP_TOWER}'"),
        ("test_resnet", f"tower 'test_resnet' is no vision transformer .* such as {CLIP_TOWER}"),
    ],
)
def test_other_towers(name, message):
    with pytest.raises(InputError, match=message):
        TowerSimilarity("random", name=name)


# --- both together


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_the_map_is_the_weighted_mean(lite, similarity, random_images, weight):
    queries, prompt = random_images(2, 64, 64), random_images(1, 64, 64, seed=1)
    first, second = lite.segment(queries, prompt), similarity.segment(queries, prompt)
    found = MetaUASPlus(lite, similarity, weight=weight).segment(queries, prompt)
    torch.testing.assert_close(found, (1 - weight) * first + weight * second, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2), (3, 2)], ids=str)
def test_prompts_are_those_of_the_network(plus, lite, random_images, shape):
    queries = random_images(3, 64, 64)
    prompts = random_images(int(np.prod(shape)), 64, 64, seed=1).unflatten(0, shape)
    maps = plus.segment(queries, prompts)
    assert maps.shape == lite.segment(queries, prompts).shape
    assert torch.equal(maps, plus.segment(queries, plus.encode_prompt(prompts)))


def test_the_network_chooses_the_prompt(plus, lite, random_images):
    images = random_images(2, 64, 64)
    assert torch.equal(plus.embed(images), lite.embed(images))


def test_the_mode_is_the_networks(lite, similarity):
    assert not MetaUASPlus(lite, similarity).training
    both = MetaUASPlus(lite, similarity).train()
    assert both.training
    assert not similarity.training
    assert not both.eval().training
    assert not lite.training


def test_the_map_is_float32_under_autocast(plus, random_images):
    queries, prompt = random_images(2, 64, 64).split(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = plus.segment(queries, prompt)
    assert maps.dtype == torch.float32
    assert 0 <= maps.min() <= maps.max() <= 1


@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_weights_that_are_no_share(lite, similarity, weight):
    with pytest.raises(InputError, match=f"weight={weight} is no share; give a number from 0"):
        MetaUASPlus(lite, similarity, weight=weight)


# --- the network's own encoder


def nearest_by_hand(model, query, prompt):
    """½ (1 − the highest cosine), of means over 3 × 3 places of the stages of stride 8 and 16."""
    maps = []
    for q, p in zip(model.encode(query)[2:4], model.encode(prompt)[2:4], strict=True):
        q, p = (F.unfold(F.pad(x, (1, 1, 1, 1)), 3).unflatten(1, (-1, 9)).sum(2)[0].double() for x in (q, p))
        cosines = F.cosine_similarity(q.T[:, None], p.T[None], dim=-1)
        side = int(len(q.T) ** 0.5)
        maps.append(
            F.interpolate(((1 - cosines.amax(1)) / 2).view(1, 1, side, side), size=query.shape[-2:], mode="bilinear")
        )
    return torch.stack(maps).mean(0).float()


@pytest.fixture(scope="module")
def pretrained():
    return create_model("lite").eval()


def test_the_similarity_of_an_encoder_is_the_formula(pretrained, random_images):
    query, prompt = random_images(1, 64, 64), random_images(1, 64, 64, seed=1)
    expected = nearest_by_hand(pretrained, query, prompt)
    assert expected.std() > 1e-3
    torch.testing.assert_close(EncoderSimilarity().segment(query, prompt), expected, rtol=0, atol=1e-5)
    half = MetaUASPlus(pretrained, weight=0.5).segment(query, prompt)
    torch.testing.assert_close(half, (pretrained.segment(query, prompt) + expected) / 2, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2), (3, 2)], ids=str)
@pytest.mark.parametrize("size", [(64, 64), (50, 70)], ids=str)
def test_the_network_s_own_features_are_those_of_its_encoder(pretrained, random_images, shape, size):
    queries = random_images(3, *size)
    prompts = random_images(int(np.prod(shape)), *size, seed=1).unflatten(0, shape)
    alone = EncoderSimilarity().segment(queries, prompts)
    own = MetaUASPlus(pretrained, weight=1.0)
    torch.testing.assert_close(own.segment(queries, prompts), alone, rtol=0, atol=1e-5)
    assert torch.equal(own.segment(queries, own.encode_prompt(prompts)), own.segment(queries, prompts))


def test_a_query_passes_the_encoder_once(pretrained, random_images):
    seen = []
    hook = pretrained.encoder.register_forward_hook(lambda *_: seen.append(1))
    plus = MetaUASPlus(pretrained)
    encoded = plus.encode_prompt(random_images(1, 64, 64))
    plus.segment(random_images(2, 64, 64), encoded)
    hook.remove()
    assert len(seen) == 2, "once for the prompt, once for the queries"


def test_labels_say_what_ran(pretrained, similarity):
    assert MetaUASPlus(pretrained).label == "lite + visual similarity"
    assert MetaUASPlus(pretrained, similarity).label == "lite + visual similarity (test_vit)"
    assert EncoderSimilarity("test_resnet", weights="random").label == "visual similarity (test_resnet)"


def test_encoders_without_the_stages_that_are_compared():
    encoder = create_encoder("test_resnet")
    encoder.strides = (2, 4)
    with pytest.raises(InputError, match="stages of stride 8 and 16"):
        check_strides(encoder)


def test_plus_by_name(pretrained):
    assert with_plus(pretrained, "encoder").label == "lite + visual similarity"
    with pytest.raises(InputError, match="plus='clib' is not known, did you mean 'clip'"):
        with_plus(pretrained, "clib")

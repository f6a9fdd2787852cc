"""Checks of pairs that have been made, on pairs whose faults are known."""

from dataclasses import replace

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from metauas.errors import InputError
from metauas.files import read_json
from metauas.files.images import read_image
from metauas.seeding import rng_for
from metauas.synthesis import (
    ChangePair,
    DrawnScenes,
    DrawnTextures,
    PairDataset,
    PairSynthesizer,
    Variation,
    open_pairs,
)
from metauas.synthesis.inspection.comparison import compare
from metauas.synthesis.inspection.figures import show_areas
from metauas.synthesis.inspection.findings import FINDINGS, find_duplicates, inspect_pairs, perceptual_hash

SIZE = 96


def canvas(seed):
    """A smooth picture, a little larger than the views of it."""
    coarse = rng_for("canvas", seed).random((8, 8, 3), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (SIZE + 24, SIZE + 24), interpolation=cv2.INTER_CUBIC), 0.1, 0.9)


def view(image, *, angle=0.0, gain=1.0, bias=0.0, noise=0.0, seed=0):
    turn = cv2.getRotationMatrix2D((SIZE / 2 + 12, SIZE / 2 + 12), angle, 1.0)
    turn[:, 2] -= 12
    seen = cv2.warpAffine(image, turn, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT_101)
    grain = noise * rng_for("grain", seed).standard_normal(seen.shape, dtype=np.float32)
    return torch.from_numpy(np.clip(gain * seen + bias + grain, 0, 1).transpose(2, 0, 1).astype(np.float32))


def pair(seed, *, changed=True, marked=True, strength=0.5, kind=None, **varied):
    """Two views of a picture; in the query a square is brighter or darker, and the mask marks it."""
    image = canvas(seed)
    before, square = image.copy(), slice(30 + seed % 40, 54 + seed % 40)
    if changed:
        image[square, square] = (image[square, square] + strength) % 1
    mask = torch.zeros(1, SIZE, SIZE)
    if marked:
        mask[0, square.start - 12 : square.stop - 12, square.start - 12 : square.stop - 12] = 1
    name = kind or ("local" if marked else "unchanged")
    varied = {"gain": 1 + 0.02 * (seed % 5), "bias": 0.01 * (seed % 7), "noise": 0.01, "angle": seed % 3} | varied
    return ChangePair(query=view(image, seed=1), prompt=view(before, **varied), mask=mask, kind=name, source="x")


@pytest.fixture(scope="module")
def sound():
    return [pair(seed) for seed in range(18)] + [pair(seed, changed=False, marked=False) for seed in range(18, 24)]


def found(pairs):
    return {name: numbers for name, numbers in inspect_pairs(pairs).findings().items() if numbers}


# --- one pair


@pytest.mark.parametrize("varied", [{"angle": 6.0}, {"gain": 0.8, "bias": 0.05}, {"angle": -8.0, "gain": 1.2}])
def test_pose_and_light_are_accounted_for(varied):
    for seed in range(4):
        still = pair(seed, changed=False, marked=False, noise=0.0, **varied)
        result = compare(still)
        raw = float((still.query - still.prompt).abs().mean())
        assert result.is_aligned
        assert result.outside < 0.02 < raw
        assert np.isnan(result.inside)
        assert np.isnan(result.visibility)


def test_what_is_marked_stands_out():
    for seed in range(6):
        result = compare(pair(seed, angle=5.0))
        assert result.is_aligned
        assert result.visibility > 5
        assert result.inside > 0.2
        hidden = compare(pair(seed, marked=False))
        assert hidden.peak > 0.2 > 10 * result.outside


def test_different_pictures_do_not_align_but_for_chance():
    first = [pair(seed, changed=False, marked=False) for seed in range(20)]
    wrong = [replace(p, prompt=first[(k + 1) % 20].prompt) for k, p in enumerate(first)]
    assert sum(compare(p).is_aligned for p in wrong) <= 2
    assert min(compare(p).outside for p in wrong) > 3 * max(compare(p).outside for p in first)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_plain_pairs_and_full_masks_are_no_problem(value):
    plain = torch.full((3, SIZE, SIZE), value)
    for mask in (torch.zeros(1, SIZE, SIZE), torch.ones(1, SIZE, SIZE)):
        result = compare(ChangePair(query=plain, prompt=plain.clone(), mask=mask, kind="local", source="x"))
        assert not result.is_aligned
        assert (result.light, result.outside, result.peak) == (0, 0, 0)


@pytest.mark.parametrize("size", [48, 200])
def test_pairs_of_any_size_are_compared(size):
    synthesizer = PairSynthesizer(DrawnScenes(), size=size, mixture={"exchange": 1.0}, variation=Variation.off())
    results = [compare(synthesizer(rng_for("size", index))) for index in range(6)]
    assert np.median([result.visibility for result in results]) > 5


# --- findings


def test_sound_pairs_have_no_findings(sound):
    assert found(sound) == {}


def test_exact_duplicates_are_listed_with_what_they_repeat(sound):
    inspection = inspect_pairs([*sound, sound[3], sound[20], sound[3]])
    assert inspection.findings()["exact duplicates"] == [24, 25, 26]
    assert inspection.findings()["near duplicates"] == []
    assert inspection.duplicates[["first", "second", "bits"]].to_numpy().tolist() == [
        [3, 24, 0],
        [20, 25, 0],
        [3, 26, 0],
    ]


def test_near_duplicates_are_found_under_noise_light_and_compression(sound):
    noisy = replace(sound[2], query=(sound[2].query + 0.02 * torch.randn(3, SIZE, SIZE)).clamp(0, 1))
    darker = replace(sound[5], query=0.8 * sound[5].query, prompt=0.9 * sound[5].prompt)
    pixels = np.rint(255 * sound[7].query.numpy().transpose(1, 2, 0)).astype(np.uint8)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    packed = replace(sound[7], query=torch.from_numpy(jpeg.transpose(2, 0, 1).astype(np.float32) / 255))
    inspection = inspect_pairs([*sound, noisy, darker, packed])
    assert inspection.findings()["near duplicates"] == [24, 25, 26]
    assert inspection.duplicates["first"].tolist() == [2, 5, 7]
    assert not inspection.duplicates["exact"].any()


def test_a_pair_that_shares_one_image_alone_is_no_duplicate(sound):
    assert "near duplicates" not in found([*sound, replace(sound[2], query=sound[3].query)])


def test_masks_that_mark_nothing_are_found(sound):
    nothing = pair(30, changed=False)
    empty = replace(pair(31), mask=torch.zeros(1, SIZE, SIZE))
    elsewhere = replace(pair(32), mask=pair(32).mask.roll((-30, 25), (1, 2)))
    findings = found([*sound, nothing, empty, elsewhere])
    assert findings["nothing visible"] == [24, 25, 26]
    assert 24 not in findings.get("unmasked difference", [])


def test_a_mask_on_an_unchanged_pair_is_found(sound):
    assert found([*sound, pair(33, changed=False, kind="unchanged")]) == {"marked though unchanged": [24]}


def test_changes_without_a_mask_and_wrong_prompts_are_found(sound):
    forgotten = pair(34, marked=False)
    wrong = replace(pair(35, bias=0.0), prompt=(0.3 * pair(36).prompt))
    assert found([*sound, forgotten, wrong]) == {"unmasked difference": [24, 25]}


def test_few_pairs_do_not_tell_what_is_usual():
    assert found([pair(0), pair(1), pair(2), pair(34, marked=False)]) == {}


def test_textures_are_not_said_to_show_nothing():
    """Query and prompt are different places of a texture: nothing in them lines up."""
    synthesizer = PairSynthesizer(DrawnTextures(), size=SIZE, mixture={"local": 1.0})
    table = inspect_pairs(synthesizer(rng_for("textures", index)) for index in range(25)).pairs
    assert not (table["nothing visible"] & ~table["is_aligned"]).any()
    assert (~table["is_aligned"]).sum() > 5


def test_embedded_pairs_are_mostly_sound():
    pairs = open_pairs("embedded", size=64, count=60)
    findings = inspect_pairs(pairs[index] for index in range(60)).findings()
    assert findings["exact duplicates"] == findings["near duplicates"] == findings["marked though unchanged"] == []
    assert len(findings["nothing visible"]) <= 4
    assert len(findings["unmasked difference"]) <= 5


# --- parts


def test_the_hash_tells_pictures_apart():
    pictures = [view(canvas(seed)) for seed in range(30)]
    hashes = [perceptual_hash(picture) for picture in pictures]
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert max(hashes) < 2**63
    assert 28 < np.mean(distances) < 35
    assert min(distances) > 6
    half = torch.nn.functional.avg_pool2d(pictures[0], 2)
    assert (perceptual_hash(half) ^ hashes[0]).bit_count() <= 2


def test_each_repeat_points_to_the_first_it_repeats():
    hashes = np.array([[0, 0], [2**62 - 1, 0], [1, 0], [2**62 - 1, 3], [0, 0]], np.uint64)
    table = find_duplicates(hashes, [b"a", b"b", b"c", b"d", b"a"])
    assert table.to_numpy().tolist() == [[0, 2, 1, False], [1, 3, 2, False], [0, 4, 0, True]]
    assert find_duplicates(hashes[:2], [b"a", b"b"]).empty


# --- what comes out


def test_kinds_are_counted_with_the_distribution_of_their_areas(sound):
    table = inspect_pairs(sound).kinds()
    assert table["pairs"].to_dict() == {"local": 18, "unchanged": 6}
    assert table["share"].to_dict() == {"local": 75.0, "unchanged": 25.0}
    area = 100 * 24**2 / SIZE**2
    assert table.loc["local", "area 50%"] == pytest.approx(area, abs=0.01)
    assert table.loc["unchanged", "area 95%"] == 0


def test_no_pairs_are_refused():
    with pytest.raises(InputError, match="no pairs to inspect"):
        inspect_pairs([])


def test_table_json_and_galleries_are_written(sound, tmp_path):
    pairs = [*sound, sound[3], pair(34, marked=False)]
    inspection = inspect_pairs(pairs)
    open_before = plt.get_fignums()  # of other tests
    files = {path.name for path in inspection.write(tmp_path / "out", pairs=pairs)}
    pictures = {"areas.png", "gallery-local.png", "gallery-unchanged.png"}
    pictures |= {"gallery-exact-duplicates.png", "gallery-unmasked-difference.png"}
    assert files == pictures | {"inspection.json", "pairs.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    summary = read_json(tmp_path / "out" / "inspection.json")
    assert summary["pairs"] == 26
    assert summary["kinds"]["local"]["pairs"] == 19
    assert summary["findings"].keys() == FINDINGS.keys()
    assert summary["findings"]["exact duplicates"]["pairs"] == [24]
    assert summary["duplicates"] == [{"first": 3, "second": 24, "bits": 0, "exact": True}]
    table = pd.read_csv(tmp_path / "out" / "pairs.csv", index_col="pair")
    assert table.index.tolist() == list(range(26))
    assert table["unmasked difference"].tolist() == [False] * 25 + [True]
    assert all(read_image(tmp_path / "out" / name).std() > 5 for name in pictures)
    assert plt.get_fignums() == open_before, "figures are closed"
    inspection.write(tmp_path / "alone")
    assert not (tmp_path / "alone" / "gallery-exact-duplicates.png").exists()


def test_areas_are_drawn_for_each_kind_that_marks_any(sound):
    figure = show_areas(inspect_pairs([*sound, replace(sound[0], kind="exchange")]).pairs)
    figure.canvas.draw()
    assert [axis.get_title(loc="left").split(":")[0] for axis in figure.axes] == ["exchange", "local"]
    assert [sum(patch.get_height() for patch in axis.patches) for axis in figure.axes] == [1, 18]
    show_areas(inspect_pairs(sound[18:]).pairs).canvas.draw()
    plt.close("all")


# --- what can be inspected


def test_embedded_pairs_are_those_of_training():
    pairs = open_pairs("embedded", size=48, seed=3, count=5, split="validation")
    assert isinstance(pairs, PairDataset)
    assert (len(pairs), pairs.seed, pairs.split, pairs[0].query.shape) == (5, 3, "validation", (3, 48, 48))


def test_folders_that_hold_no_pairs_are_named(tmp_path):
    with pytest.raises(InputError, match=r"absent does not exist.*coco-inpainted.*embedded"):
        open_pairs(tmp_path / "absent")
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=rf"{tmp_path.name} holds no pairs"):
        open_pairs(tmp_path)

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.seeding import rng_for
from metauas.synthesis import (
    DEFAULT_MIXTURE,
    KINDS,
    DrawnScenes,
    DrawnTextures,
    LocalChange,
    OpenCVInpainter,
    PairSynthesizer,
    Photographs,
    Variation,
    embedded_synthesizer,
    visible_change,
)
from metauas.synthesis import pairs as pairs_module
from metauas.synthesis.pairs import select_kinds

SIZE = 64
CHANGES = [kind for kind in KINDS if kind != "unchanged"]
OFF = Variation.off()
POSE_ONLY = Variation(**{**vars(OFF), "rotation": 8.0, "shift": 0.04, "scale": 0.03})
each_change = pytest.mark.parametrize("kind", CHANGES)
each_kind = pytest.mark.parametrize("kind", KINDS)


def maker(pictures, kind, *, size=SIZE, variation=OFF, decoys=0.0, **settings):
    return PairSynthesizer(pictures, size=size, mixture={kind: 1.0}, variation=variation, decoys=decoys, **settings)


def draw(synthesizer, count, *key):
    for index in range(count):
        yield synthesizer(rng_for(*key, "pair", index))


def arrays(pair):
    """Query and prompt (H, W, 3) and mask (H, W)."""
    query, prompt = (side.permute(1, 2, 0).numpy() for side in (pair.query, pair.prompt))
    return query, prompt, pair.mask[0].numpy() > 0


def overlap(first, second):
    return (first & second).sum() / max(1, (first | second).sum())


# --- what is in a pair


@pytest.fixture(scope="module")
def many():
    return list(draw(embedded_synthesizer(size=48), 500, "many"))


def test_pairs_hold_images_and_a_binary_mask(many):
    for pair in many:
        for side in (pair.query, pair.prompt):
            assert side.shape == (3, 48, 48)
            assert side.dtype == torch.float32
            assert 0 <= side.min() <= side.max() <= 1
        assert pair.mask.shape == (1, 48, 48)
        assert pair.mask.dtype == torch.float32
        assert set(pair.mask.unique().tolist()) <= {0.0, 1.0}
        assert pair.source


def test_only_unchanged_pairs_have_an_empty_mask(many):
    for pair in many:
        assert bool(pair.mask.any()) == (pair.kind != "unchanged"), pair.kind


def test_each_kind_comes_in_its_share(many):
    for kind, share in DEFAULT_MIXTURE.items():
        expected, spread = share * len(many), np.sqrt(share * (1 - share) * len(many))
        assert abs(sum(pair.kind == kind for pair in many) - expected) < 4 * spread, kind


def test_changes_are_local_and_of_many_sizes(many):
    areas = np.array([float(pair.mask.mean()) for pair in many if pair.kind != "unchanged"])
    assert np.median(areas) < 0.1
    assert areas.max() > 0.15
    assert areas.min() < 0.01


def test_query_and_prompt_vary_even_without_a_change(many):
    assert all((pair.query - pair.prompt).abs().mean() > 0.002 for pair in many if pair.kind == "unchanged")


def test_no_two_pairs_are_alike(many):
    assert len({pair.query.numpy().tobytes() for pair in many}) == len(many)


@pytest.mark.parametrize("size", [16, 33, 50])
@each_kind
def test_any_size_from_16_pixels_up(kind, size):
    pair = embedded_synthesizer(size=size, kinds=[kind])(rng_for("size", size))
    assert pair.query.shape == pair.prompt.shape == (3, size, size)
    assert pair.kind == kind


# --- the mask marks what really differs: exactly known changes


@each_change
def test_the_mask_is_the_change_and_all_else_is_equal_to_the_bit(kind, squares, one_colour, grow):
    synthesizer = maker(
        squares(),
        kind,
        inpainter=OpenCVInpainter(grain=False),
        local=LocalChange(one_colour(), regions=("spot", "stroke"), fillings=("texture",), opacity=(0.5, 1.0)),
    )
    for pair in draw(synthesizer, 25, kind):
        query, prompt, mask = arrays(pair)
        differs = np.abs(query - prompt).max(axis=2)
        assert mask[differs > 0.025].all()
        assert (differs[mask] > 0).all()
        assert (mask <= grow(differs > 0.025, 2)).all()
        assert (query == prompt)[~grow(mask, 8)].all()


def test_appearing_objects_are_in_the_query_and_disappearing_ones_in_the_prompt(squares, ground):
    for kind in ("appearance", "disappearance"):
        for pair in draw(maker(squares(), kind, inpainter=OpenCVInpainter(grain=False)), 15, kind):
            query, prompt, mask = arrays(pair)
            full, empty = (query, prompt) if kind == "appearance" else (prompt, query)
            assert np.abs(full[mask] - ground).max(axis=1).min() > 0.2
            assert np.abs(empty[mask] - ground).max() < 0.01


@pytest.mark.parametrize("kind", ["exchange", "local"])
def test_either_side_may_be_the_query(kind, squares, one_colour):
    foreign = LocalChange(one_colour((1.0, 1.0, 0.0)), regions=("spot",), fillings=("texture",), opacity=(1.0, 1.0))
    in_query = 0
    for pair in draw(maker(squares(count=1), kind, local=foreign), 80, kind):
        query, prompt, _ = arrays(pair)
        red_square = [np.isclose(side, [0.9, 0.2, 0.2], atol=1e-6).all(axis=2).sum() for side in (query, prompt)]
        yellow = (query[..., :2] == 1).all(axis=2).any()
        in_query += yellow if kind == "local" else red_square[0] < red_square[1]
    assert abs(in_query - 40) < 4 * np.sqrt(80 / 4)


# --- the mask marks what really differs: photographs and drawn scenes


@each_change
@pytest.mark.parametrize("pictures", [DrawnScenes(), Photographs(names=("chelsea", "coffee", "page"))], ids=repr)
def test_masked_pixels_differ_and_no_visible_change_is_left_out(kind, pictures):
    synthesizer = PairSynthesizer(pictures, size=96, mixture={kind: 1.0}, variation=OFF, decoys=0.5)
    for pair in draw(synthesizer, 30, kind):
        query, prompt, mask = arrays(pair)
        differs = np.abs(query - prompt).max(axis=2)
        assert (differs[mask] > 0).all()
        assert np.median(differs[mask]) > 0.03
        left_out = np.where(mask, 0, differs)
        # a spot of 5 × 5 pixels that all differ by a tenth would be seen on any surface
        assert cv2.erode((left_out > 0.1).astype(np.uint8), np.ones((5, 5), np.uint8)).max() == 0
        assert left_out.mean() < 0.005


@pytest.mark.parametrize("pictures", [DrawnScenes(), Photographs(names=("chelsea",))], ids=repr)
@pytest.mark.parametrize("decoys", [0.0, 1.0])
def test_unchanged_pairs_without_variation_are_equal_to_the_bit(pictures, decoys):
    for pair in draw(maker(pictures, "unchanged", decoys=decoys), 10, "unchanged"):
        assert (pair.query == pair.prompt).all()
        assert not pair.mask.any()


# --- pose


@pytest.fixture
def poses(monkeypatch):
    """The pose matrices drawn, in order: query, prompt, query, …"""
    drawn = []

    def recorded(*args, **settings):
        drawn.append(original(*args, **settings))
        return drawn[-1]

    original = pairs_module.view_matrix
    monkeypatch.setattr(pairs_module, "view_matrix", recorded)
    return drawn


def test_the_mask_lies_where_the_object_is_in_the_query(squares, ground):
    synthesizer = maker(squares(count=1), "appearance", variation=POSE_ONLY, inpainter=OpenCVInpainter(grain=False))
    for pair in draw(synthesizer, 15, "pose"):
        query, prompt, mask = arrays(pair)
        assert overlap(mask, np.abs(query - ground).max(axis=2) > 0.15) > 0.85
        assert np.abs(prompt - ground).max() < 0.02


def test_the_mask_of_a_missing_object_follows_the_query_s_pose_not_the_prompt_s(squares, ground, poses):
    synthesizer = maker(squares(count=1), "disappearance", variation=POSE_ONLY, inpainter=OpenCVInpainter(grain=False))
    nearer = 0
    for pair in draw(synthesizer, 15, "pose"):
        _, prompt, mask = arrays(pair)
        of_query, of_prompt = (np.vstack([matrix, [0, 0, 1]]) for matrix in poses[-2:])
        there = np.abs(prompt - ground).max(axis=2).astype(np.float32)
        to_query = (of_query @ np.linalg.inv(of_prompt))[:2]
        moved = cv2.warpAffine(there, to_query, (SIZE, SIZE)) > 0.2
        assert overlap(mask, moved) > 0.85
        nearer += overlap(mask, there > 0.2) < 0.7
    assert nearer > 5, "or the poses would not tell"


def test_what_has_gone_is_visible_in_the_prompt(squares, ground):
    wide = Variation(**{**vars(OFF), "shift": 0.5})
    for pair in draw(maker(squares(count=1), "disappearance", variation=wide), 30, "wide"):
        _, prompt, mask = arrays(pair)
        assert (np.abs(prompt - ground).max(axis=2) > 0.15).sum() > 0.4 * mask.sum()


# --- stationary pictures


def test_the_foreign_side_of_a_stationary_picture_is_always_the_query(squares, one_colour):
    red = LocalChange(one_colour(), regions=("spot",), fillings=("elsewhere",), opacity=(1.0, 1.0))
    for pair in draw(maker(squares(count=0, stationary=True), "local", local=red), 20, "stationary"):
        query, prompt, mask = arrays(pair)
        assert np.ptp(prompt) == 0
        assert mask.any(), "elsewhere would be nothing foreign here: the texture takes its place"
        assert (query[mask][:, 0] > query[mask][:, 1]).all()


@pytest.mark.parametrize("kind", ["unchanged", "local"])
def test_a_stationary_picture_has_no_decoys_that_another_place_could_not_show(kind, squares, one_colour, grow):
    red = LocalChange(one_colour(), regions=("spot",), fillings=("texture",), opacity=(1.0, 1.0))
    for pair in draw(maker(squares(count=0, stationary=True), kind, local=red, decoys=1.0), 20, "decoys"):
        query, prompt, mask = arrays(pair)
        assert np.ptp(prompt) == 0
        reddish = query[..., 0] > query[..., 1] + 0.05
        assert reddish[mask].all()
        assert (reddish <= grow(mask, 1)).all(), "all but the interpolated border is marked"
        assert reddish.any() == (kind == "local")


def test_textures_show_different_places_but_only_foreign_things_are_marked():
    for pair in draw(maker(DrawnTextures(), "unchanged"), 10, "textures"):
        assert (pair.query != pair.prompt).any()
        assert not pair.mask.any()


# --- decoys and interfaces


def test_a_decoy_is_on_both_sides(squares, one_colour):
    yellow = LocalChange(one_colour((1.0, 1.0, 0.0)), regions=("spot",), fillings=("texture",), opacity=(1.0, 1.0))
    seen = 0
    for pair in draw(maker(squares(), "unchanged", local=yellow, decoys=1.0), 20, "decoys"):
        assert (pair.query == pair.prompt).all()
        seen += bool(((pair.query[0] == 1) & (pair.query[2] == 0)).any())
    assert seen > 10


@dataclass(frozen=True)
class BlackInpainter:
    def __call__(self, image, mask, *, rng):
        return np.where(mask[..., None], np.float32(0), image)


def test_another_inpainter_can_take_the_place_of_opencv_s(squares):
    for pair in draw(maker(squares(), "disappearance", inpainter=BlackInpainter()), 5, "black"):
        query, _, mask = arrays(pair)
        assert (query[mask] == 0).all()


@dataclass(frozen=True)
class IdleInpainter:
    def __call__(self, image, mask, *, rng):
        return image.copy()


def test_a_change_that_stays_invisible_becomes_an_unchanged_pair(squares):
    pair = maker(squares(), "appearance", inpainter=IdleInpainter())(rng_for("idle"))
    assert pair.kind == "unchanged"
    assert not pair.mask.any()
    assert (pair.query == pair.prompt).all()


# --- what is visible


def plain():
    return np.full((48, 48, 3), 0.5, np.float32)


def test_equal_pictures_differ_nowhere():
    image = rng_for("image").random((48, 48, 3), dtype=np.float32)
    assert not visible_change(image, image.copy()).any()


def test_a_faint_change_is_seen_on_a_plain_surface_and_not_on_a_rough_one():
    square = np.zeros((48, 48, 1), np.float32)
    square[20:32, 20:32] = 0.06
    rough = (plain() + 0.25 * rng_for("rough").standard_normal((48, 48, 3))).astype(np.float32)
    assert (visible_change(plain(), plain() + square) == (square[..., 0] > 0)).all()
    assert not visible_change(rough, rough + square).any()
    assert overlap(visible_change(rough, rough + 10 * square), square[..., 0] > 0) > 0.95


def test_noise_and_specks_are_not_a_change():
    noisy = (plain() + 0.015 * rng_for("noise").standard_normal((48, 48, 3))).astype(np.float32)
    assert not visible_change(plain(), noisy).any()
    speck = plain()
    speck[10, 10] += 0.15
    assert not visible_change(plain(), speck).any()


def test_a_change_that_fades_out_is_marked_as_a_whole():
    faded = plain()
    faded[20:30, 4:44] += np.linspace(0.03, 0.3, 40, dtype=np.float32)[None, :, None]
    expected = np.zeros((48, 48), bool)
    expected[20:30, 4:44] = True
    assert (visible_change(plain(), faded) == expected).all()


def test_a_thin_line_is_seen_and_gaps_in_it_closed_where_something_differs():
    line = plain()
    line[24, 5:40] -= 0.3
    line[24, 20:22] = 0.495
    expected = np.zeros((48, 48), bool)
    expected[24, 5:40] = True
    assert (visible_change(plain(), line) == expected).all()


def test_visibility_is_symmetric():
    first, second = (Photographs(names=("chelsea",)).draw(rng_for(seed), size=48).image for seed in range(2))
    assert (visible_change(first, second) == visible_change(second, first)).all()


# --- mistakes


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({"apearance": 1.0}, r"kind of change='apearance' is not known, did you mean 'appearance'"),
        ({"local": -0.5}, r"share of 'local' is -0\.5"),
        ({"local": float("nan")}, r"share of 'local' is nan"),
        ({"local": float("inf")}, r"share of 'local' is inf"),
        ({"local": 0.0, "exchange": 0.0}, r"all shares of the mixture are 0"),
        ({}, r"all shares of the mixture are 0"),
    ],
)
def test_a_wrong_mixture_is_named(mixture, message):
    with pytest.raises(InputError, match=message):
        PairSynthesizer(DrawnScenes(), mixture=mixture)


def test_a_size_too_small_is_named():
    with pytest.raises(InputError, match=r"size=8 is too small; give 16"):
        PairSynthesizer(DrawnScenes(), size=8)


def test_selected_kinds_keep_their_proportions():
    assert select_kinds(list(DEFAULT_MIXTURE), mixture=DEFAULT_MIXTURE) == DEFAULT_MIXTURE
    assert select_kinds(["local", "exchange"], mixture=DEFAULT_MIXTURE) == {"local": 0.45, "exchange": 0.15}
    with pytest.raises(InputError, match=r"'lokal' has no share.*'local'"):
        select_kinds(["lokal"], mixture=DEFAULT_MIXTURE)
    with pytest.raises(InputError, match="'local' has no share in the recipe; it makes exchange"):
        select_kinds(["local"], mixture={"local": 0.0, "exchange": 0.5})
    for wrong in ([], "local", 3):
        with pytest.raises(InputError, match="is no list of kinds"):
            select_kinds(wrong, mixture=DEFAULT_MIXTURE)


# --- windows of larger pairs


def zooming(kind, **settings):
    return maker(DrawnScenes(), kind, zoomed=1.0, **settings)


@each_kind
def test_a_window_is_part_of_a_pair_of_twice_the_side(kind, monkeypatch):
    large = []
    make = PairSynthesizer.__call__

    def remembered(self, rng):
        pair = make(self, rng)
        large.append(pair)
        return pair

    monkeypatch.setattr(PairSynthesizer, "__call__", remembered)
    for pair in draw(zooming(kind), 6, "window", kind):
        whole = large[-2]  # the last one is the window itself
        assert whole.query.shape == (3, 2 * SIZE, 2 * SIZE)
        assert pair.kind == whole.kind
        places = [
            (top, left)
            for top in range(SIZE + 1)
            for left in range(SIZE + 1)
            if torch.equal(whole.query[:, top : top + 2, left : left + SIZE], pair.query[:, :2])
            and torch.equal(whole.query[:, top : top + SIZE, left : left + SIZE], pair.query)
        ]
        assert places
        assert any(
            torch.equal(whole.prompt[:, top : top + SIZE, left : left + SIZE], pair.prompt)
            and torch.equal(whole.mask[:, top : top + SIZE, left : left + SIZE], pair.mask)
            for top, left in places
        )


@each_change
def test_a_window_shows_the_change_wherever_it_is(kind):
    pairs = list(draw(zooming(kind), 20, "shown", kind))
    assert {pair.kind for pair in pairs} <= {kind, "unchanged"}
    for pair in pairs:
        assert pair.query.shape == pair.prompt.shape == (3, SIZE, SIZE)
        assert pair.mask.any() == (pair.kind != "unchanged")


def test_windows_lie_alike_even_where_views_are_spun():
    make = zooming("unchanged", variation=Variation(**{**vars(OFF), "spun": 1.0}))
    for pair in draw(make, 5, "spun"):
        torch.testing.assert_close(pair.query, pair.prompt)


def test_only_the_share_that_is_asked_for_is_zoomed():
    still = {"kind": "unchanged", "variation": OFF}
    never, often = (maker(DrawnScenes(), zoomed=share, **still) for share in (0.0, 0.5))
    plain = maker(DrawnScenes(), **still)
    keys = [("share", index) for index in range(30)]
    assert all(torch.equal(never(rng_for(*key)).query, plain(rng_for(*key)).query) for key in keys)
    same = [torch.equal(often(rng_for(*key)).query, _after_one_number(plain, key).query) for key in keys]
    assert 8 < sum(same) < 22


def _after_one_number(make, key):
    """Make a pair with a generator of which the choice whether to zoom has taken one number."""
    rng = rng_for(*key)
    rng.random()
    return make(rng)

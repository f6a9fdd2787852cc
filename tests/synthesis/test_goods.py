from dataclasses import replace

import numpy as np
import pytest

from metauas.seeding import rng_for
from metauas.synthesis import PairSynthesizer, Variation
from metauas.synthesis.changes.objects import dilate
from metauas.synthesis.drawn.goods import Creases, DrawnGoods, draw_sort
from metauas.synthesis.recipe import build_synthesizer, read_recipe

SIZE = 96


def plain(index):
    """A sort without creases or inclusions."""
    sort = draw_sort(rng_for("sort", index), size=SIZE)
    return replace(sort, creases=replace(sort.creases, count=0.0), inclusions=())


def share_alike(first, second):
    return (first & second).sum() / (first | second).sum()


def test_outlines_of_a_sort_differ_by_its_bend_and_turn():
    def alike(**changes):
        sorts = [replace(plain(index), **changes) for index in range(8)]
        return np.mean([share_alike(*(sort.item(rng_for(place)).home for place in "ab")) for sort in sorts])

    stiff = alike(bend=0.0, turn=0.0)
    assert stiff > 0.85, "but for a small shift"
    assert alike(bend=0.3, turn=0.0) < stiff - 0.05
    assert alike(bend=0.0, turn=np.pi) < stiff - 0.05


def test_a_whole_item_covers_the_ground_and_nothing_else():
    for index in range(8):
        item = plain(index).item(rng_for(index))
        away = ~dilate(item.home, pixels=5)
        np.testing.assert_allclose(item.image[away], item.ground[away], atol=1e-3)


def test_creases_darken_the_body_only():
    home = np.zeros((SIZE, SIZE), bool)
    home[20:70, 20:70] = True
    image = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    creased = Creases(count=30.0, depth=0.4, blur=0.7).creased(rng_for("creases"), image, home=home)
    np.testing.assert_array_equal(creased[~home], image[~home])
    assert creased.min() == pytest.approx(0.5 * 0.6, abs=0.01)
    assert (creased[home] < 0.5).mean() > 0.3
    whole = Creases(count=0.0, depth=0.4, blur=0.7).creased(rng_for("creases"), image, home=home)
    np.testing.assert_array_equal(whole, image)


def test_broken_goods_show_the_ground_where_they_had_been_whole():
    shown = 0
    for index in range(20):
        item = plain(index).item(rng_for(index))
        broken = item.faulty(rng_for("broken", index), "exchange")
        changed = np.abs(broken - item.image).max(axis=2) > 0.02
        assert not (changed & ~dilate(item.home, pixels=4)).any()
        shown += changed.any()
    assert shown > 12, "the ground may look like the body"


def test_gaps_of_goods_are_wider_than_those_of_products():
    item = plain(3).item(rng_for(3))
    white, all_over = np.ones_like(item.image), np.ones_like(item.home)
    black = replace(item, image=np.zeros_like(white), ground=white, home=all_over)

    def gone(widest):
        some = replace(black, widest=widest)
        return np.mean([(some.faulty(rng_for(index), "exchange") > 0).mean() for index in range(40)])

    assert gone(item.widest) > 1.15 * gone(1 / 32), "though half of them are not gaps"


def test_what_is_gone_is_marked_and_the_prompt_shows_another_item():
    make = PairSynthesizer(DrawnGoods(), size=SIZE, mixture={"exchange": 1.0}, variation=Variation.off())
    pairs = [make(rng_for("pair", index)) for index in range(8)]
    assert {pair.source for pair in pairs} == {"goods"}
    for pair in pairs:
        assert 0 < float(pair.mask.mean()) < 0.5
        beside = (pair.query - pair.prompt).abs().amax(dim=0)[pair.mask[0] == 0]
        assert float((beside > 0.02).float().mean()) > 0.01, "another item"


def test_the_preset_draws_goods_and_windows_of_larger_pairs():
    settings = read_recipe(preset="goods", size=SIZE)
    assert settings.zoomed > 0
    make = build_synthesizer(settings)
    assert make.zoomed == settings.zoomed
    sources = [make(rng_for("pair", index)).source for index in range(40)]
    assert {"goods", "surface"} < set(sources)

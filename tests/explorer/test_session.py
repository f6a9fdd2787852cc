"""Questions and answers, without any widget."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from metauas.explorer import Question, Session, draw_example, list_examples
from metauas.explorer.drawing import describe_map
from metauas.explorer.session import peak
from metauas.files.images import resize_images, to_tensor
from metauas.model import ScaleAverage, TiledNetwork, create_model

SIZE = 64


@pytest.fixture(scope="module")
def question():
    example = draw_example("coin", "scratch")
    return Question(prompt=example.prompt, query=example.query)


@pytest.fixture(scope="module")
def session(network):
    return Session(network.model, size=SIZE)


def test_the_map_is_the_networks(session, network, question):
    query, prompt = (resize_images(to_tensor(image)[None], (SIZE, SIZE)) for image in (question.query, question.prompt))
    answer = session.ask(question)
    averaged = ScaleAverage(network.model)
    np.testing.assert_array_equal(answer.map, averaged.segment(query, prompt)[0, 0].numpy())
    assert answer.score == answer.map.max()


def test_the_verdict_follows_the_threshold(session, question):
    answer = session.ask(question)
    assert answer.verdict(answer.score - 1e-6) == "DEFECTIVE"
    assert answer.verdict(answer.score) == "OK"  # not above
    assert answer.regions(answer.score - 1e-6)
    assert not answer.regions(answer.score)


def test_tiles_compare_at_the_query_s_own_size(session, network, question):
    wide = replace(question, query=question.query[:96, :160], prompt=question.prompt[:96, :160], tiles=True)
    answer = session.ask(wide)
    query, prompt = (to_tensor(image)[None] for image in (wide.query, wide.prompt))
    assert answer.map.shape == (96, 160)
    tiled = TiledNetwork(ScaleAverage(network.model), side=SIZE)
    np.testing.assert_array_equal(answer.map, tiled.segment(query, prompt)[0, 0])
    row, column = divmod(int(answer.map.argmax()), 160)
    place = f"{(column + 0.5) / 160:.0%} from the left and {(row + 0.5) / 96:.0%} from the top"
    assert place in describe_map(answer)
    assert answer.look((0.5, 0.5), stage=3).shape == (SIZE // 8, SIZE // 8)


def test_only_the_prompt_is_moved(session, question):
    still, moved = session.ask(question), session.ask(replace(question, degrees=90.0, shift=0.25))
    assert torch.equal(still.query, moved.query)
    assert not torch.equal(still.prompt, moved.prompt)
    assert not np.array_equal(still.map, moved.map)


def test_a_prompt_is_turned_counter_clockwise_then_moved_to_the_right():
    image = np.zeros((9, 9, 3), dtype=np.uint8)
    image[4, 8] = 255  # at three o'clock
    turned = Question(prompt=image, query=image, degrees=90.0).moved_prompt
    assert turned[0, 0].argmax() == 4  # row 0, column 4
    both = Question(prompt=image, query=image, degrees=90.0, shift=1 / 3).moved_prompt
    assert both[0, 0].argmax() == 7


def test_alignments_can_be_swapped(session, question):
    maps = {name: session.ask(replace(question, alignment=name)).map for name in session.alignments}
    assert set(maps) == {"none", "hard", "soft"}
    assert not np.array_equal(maps["none"], maps["hard"])
    assert not np.array_equal(maps["soft"], maps["hard"])
    look = session.ask(replace(question, alignment="hard")).look((0.5, 0.5), stage=3)
    assert look.max() == look.sum() == 1


def test_a_network_trained_without_alignment_offers_no_other():
    assert Session(create_model("lite", alignment="none").eval(), size=SIZE).alignments == ("none",)


def test_stages_are_those_that_are_aligned(session):
    assert session.stages == {3: 8, 4: 16, 5: 32}


def test_a_look_sums_to_one_and_has_a_peak(session, question):
    look = session.ask(question).look((0.25, 0.75), stage=3)
    assert look.shape == (SIZE // 8, SIZE // 8)
    assert look.sum() == pytest.approx(1, abs=1e-5)
    x, y = peak(look)
    assert look[int(y * SIZE // 8), int(x * SIZE // 8)] == look.max()


def test_every_example_can_be_drawn_and_is_the_same_again():
    kinds = list_examples()
    assert len(kinds) == 9
    for product, names in kinds.items():
        assert len(names) == 4, product
    once, again = draw_example("nut", "flawless"), draw_example("nut", "flawless")
    np.testing.assert_array_equal(once.query, again.query)
    assert not np.array_equal(once.prompt, once.query)

"""The widgets in a kernel's place: what a page would send, and what it would be shown."""

import pytest

from metauas.explorer import uploads
from metauas.explorer.view import Explorer


@pytest.fixture
def explorer(network):
    return Explorer(network, size=64, threshold=0.5)


def send(widget, content, *buffers):
    """Do as a page does that sends a message."""
    widget._handle_custom_msg(content, list(buffers))


def test_it_starts_with_an_example_and_a_verdict(explorer):
    score = explorer._answer.score
    assert explorer.status.text.startswith(f"{explorer.status.tone}: score {score:.3f}")
    for shown in (explorer.prompt, explorer.query, explorer.map, explorer.found):
        assert shown.jpeg[:3] == b"\xff\xd8\xff"
        assert shown.alt


def test_the_threshold_moves_the_verdict_and_not_the_map(explorer):
    before = explorer.map.jpeg
    explorer.threshold.value = 1.0
    assert explorer.status.tone == "OK"
    assert "no region is above 1.00" in explorer.found.alt
    explorer.threshold.value = 0.0
    assert explorer.status.tone == "DEFECTIVE"
    assert "100.0% of the picture" in explorer.found.alt
    assert explorer.map.jpeg == before


def test_a_click_moves_the_sliders_the_ring_and_the_look(explorer):
    before = explorer.prompt.jpeg
    send(explorer.query, {"point": [0.25, 0.75]})
    assert (explorer.across.value, explorer.down.value) == (25, 75)
    assert explorer.query.point == [0.25, 0.75]
    assert explorer.prompt.jpeg != before
    assert explorer.prompt.alt.startswith("Prompt: the point 25% from the left and 75% from the top of the query looks")


@pytest.mark.parametrize("control", ["degrees", "shift"])
def test_moving_the_prompt_asks_anew(explorer, control):
    before = explorer.map.jpeg, explorer.prompt.jpeg, explorer.query.jpeg
    getattr(explorer, control).value = 25
    assert explorer.map.jpeg != before[0]
    assert explorer.prompt.jpeg != before[1]
    assert explorer.query.jpeg == before[2]


def test_tiles_ask_again_at_full_resolution(explorer):
    before = explorer.map.jpeg
    explorer.tiles.value = True
    assert explorer._answer.map.shape == explorer._answer.question.query.shape[:2]
    assert explorer.map.jpeg != before
    explorer.tiles.value = False
    assert explorer.map.jpeg == before


def test_alignment_and_stage_can_be_chosen(explorer):
    explorer.alignment.value = "hard"
    assert "with 100% of its attention" in explorer.prompt.alt
    before = explorer.prompt.jpeg
    explorer.stage.value = max(explorer.session.stages)
    assert explorer.prompt.jpeg != before


@pytest.mark.parametrize("product", ["bottle", "nut"])
def test_another_product_brings_its_own_queries(explorer, product):
    before = explorer.query.jpeg
    explorer.product.value = product
    assert explorer.kind.value == explorer.kind.options[0]
    assert explorer.query.jpeg != before
    before = explorer.query.jpeg
    explorer.kind.value = "flawless"
    assert explorer.query.jpeg != before


def test_products_whose_first_queries_share_a_name_are_both_shown(explorer, monkeypatch):
    monkeypatch.setattr("metauas.explorer.view.list_examples", lambda: {"coin": ("scratch",), "nut": ("scratch",)})
    explorer.product.value = "coin"
    before = explorer.query.jpeg
    explorer.product.value = "nut"
    assert explorer.query.jpeg != before


def test_uploads_take_the_examples_place(explorer, picture, as_file):
    send(explorer.upload_query, {"name": "mine.png"}, memoryview(as_file(picture)))
    assert explorer._answer.question.query.shape == picture.shape
    send(explorer.upload_prompt, {"name": "normal.png"}, memoryview(as_file(picture)))
    assert explorer._answer.question.prompt.shape == picture.shape
    assert not explorer.upload_query.problem
    assert not explorer.upload_prompt.problem


def test_a_bad_upload_is_explained_and_changes_nothing(explorer, picture, as_file):
    before = explorer.query.jpeg
    send(explorer.upload_query, {"name": "bad.png"}, b"no picture")
    assert explorer.upload_query.problem.startswith("bad.png cannot be read as a picture")
    assert explorer.query.jpeg == before
    send(explorer.upload_query, {"name": "large.png"}, b"\0" * (uploads.MAX_BYTES + 1))
    assert "at most 8 MiB" in explorer.upload_query.problem
    send(explorer.upload_query, {"name": "good.png"}, as_file(picture))
    assert not explorer.upload_query.problem


@pytest.mark.parametrize(
    ("content", "buffers"),
    [(None, []), ({}, [b"x"]), ({"name": 3}, [b"x"]), ({"name": "a"}, []), ({"name": "a"}, [b"", b""])],
)
def test_messages_that_no_page_of_ours_sends_are_ignored(explorer, content, buffers):
    before = explorer.query.jpeg, explorer.query.point
    send(explorer.upload_query, content, *buffers)
    send(explorer.query, content, *buffers)
    assert (explorer.query.jpeg, explorer.query.point) == before


@pytest.mark.parametrize("point", [[], [0.5], [2.0, 0.5], ["0", "0"], [float("nan"), 0.5], [0.1, 0.2, 0.3], 7])
def test_points_outside_are_ignored(explorer, point):
    send(explorer.query, {"point": point})
    assert explorer.query.point == [0.5, 0.5]


def test_nothing_is_kept_of_an_upload_but_the_picture(explorer, picture, as_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = as_file(picture)
    send(explorer.upload_query, {"name": "mine.png"}, data)
    assert not list(tmp_path.iterdir())
    assert data not in [value for value in explorer.upload_query.get_state().values() if isinstance(value, bytes)]


def test_without_a_kernel_it_says_where_it_lives(explorer):
    assert "make demo" in repr(explorer)


@pytest.mark.parametrize(("sent", "kept"), [(0.25, 0.25), (7, 1.0), (-1.0, 0.0), (float("nan"), 0.0)])
def test_a_slider_stays_within_its_ends(explorer, sent, kept):
    explorer.threshold.set_state({"value": sent})
    assert explorer.threshold.value == kept

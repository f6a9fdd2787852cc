from dataclasses import replace
from html.parser import HTMLParser

import pytest

from metauas.eval import EvalSettings, MapGatherer, evaluate, write_report


class Page(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def found(model, tiny_benchmark):
    settings = EvalSettings(size=32, seeds=(1, 3), rotations=(0, 90))
    gatherer = MapGatherer(tiny_benchmark)
    return evaluate(model, tiny_benchmark, settings, official=True, on_maps=[gatherer]), gatherer


@pytest.fixture
def page(found, tiny_benchmark, tmp_path):
    evaluation, gatherer = found
    named = replace(tiny_benchmark, name="<b>bench & co</b>")
    shown = {"curves": gatherer.curves, "cases": gatherer.cases, "checkpoint": "runs/<one>"}
    return Page(write_report(tmp_path / "new", evaluation, benchmark=named, **shown))


def test_the_page_is_complete_in_itself(page, found):
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "b bench"}
    pictures = page.of("img")
    assert len(pictures) == 3 + 4 * len(found[1].cases)
    assert all(picture["src"].startswith("data:image/") and picture["alt"] for picture in pictures)
    assert page.of("meta")[1]["content"] == "width=device-width, initial-scale=1"


def test_it_says_what_was_evaluated_and_what_came_out(page, found):
    text = page.text
    for word in ("<b>bench & co</b>", "runs/<one>", "4 good and 6 defective", "seeds 1, 3", "32 pixels", "torch 2."):
        assert word in text
    for word in ("pixel difference", "SSIM", "lite, prompt turned 90°", "ours exact", "ours official", "bottle"):
        assert word in text
    mean = found[0].table().loc[("lite", "mean"), ("P-AP", "mean")]
    assert f"{100 * mean:.1f} ± " in text
    assert "arXiv" not in text  # the paper has no such benchmark


def test_failures_come_first(page, found):
    captions = [line for line in page.text.splitlines() if "; score " in line]
    failing = sorted((case for case in found[1].cases if case.fails), key=lambda case: -case.error)
    assert captions[0].startswith(f"{failing[0].category}: {failing[0].defect}, error {failing[0].error:.2f}")
    assert len(captions) == len(found[1].cases)


@pytest.mark.parametrize(
    ("settings", "said", "unsaid"),
    [
        ({"prompt": "nearest", "seeds": (1, 3)}, "nearest, 1 shot, seed 1; 100% of the prompts", "seeds 1"),
        ({"prompt": "defective", "seeds": (1, 3)}, "defective, 1 shot, seeds 1, 3", "own class"),
    ],
)
def test_it_says_only_what_was_so_of_prompts(model, tiny_benchmark, tmp_path, settings, said, unsaid):
    evaluation = evaluate(model, tiny_benchmark, EvalSettings(size=32, **settings), baselines=False)
    text = Page(write_report(tmp_path, evaluation, benchmark=tiny_benchmark)).text
    assert said in text
    assert unsaid not in text


def test_numbers_alone_make_a_report_too(found, tiny_benchmark, tmp_path):
    page = Page(write_report(tmp_path, found[0], benchmark=tiny_benchmark))
    assert not page.of("img")
    assert "Curves" not in page.text


def test_the_papers_numbers_stand_beside_those_of_its_benchmarks(found, tiny_benchmark, tmp_path):
    evaluation, _ = found
    renamed = evaluation.values.replace({"category": {"brick": "cable"}})
    categories = [replace(tiny_benchmark.categories[0]), replace(tiny_benchmark.categories[1], name="cable")]
    own = replace(tiny_benchmark, root=tmp_path, categories=categories)
    text = Page(write_report(tmp_path / "out", replace(evaluation, values=renamed), benchmark=own)).text
    assert "MetaUAS as published" in text
    assert "arXiv 2505.09265" in text
    assert "this evaluation is at 32 pixels" in text

"""The front page of a run folder and its notebooks' pages."""

import re
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from metauas.ablations.results.page import metrics_frame, write_index, write_notebook_page
from metauas.errors import InputError
from metauas.files import write_json
from metauas.files.images import write_png

SPREAD = {"I-AUROC": {"mean": 0.913, "std": 0.009}}


class Tags(HTMLParser):
    """Collects every tag with its attributes, and refuses nothing."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def tags_of(path):
    parser = Tags()
    parser.feed(path.read_text())
    return parser.found


@pytest.fixture
def notebook(tmp_path):
    formulas = "Loss $\\frac{1}{n}\\sum_i x_i$ and\n\n$$\\begin{aligned} a &= b \\end{aligned}$$"
    markdown = f"# Training\n\n{formulas}\n\n`$HOME`"
    output = new_output("display_data", data={"text/plain": "<Figure>", "image/png": "aGVsbG8="})
    text = new_output("stream", text="loss <0.5>")
    cells = [
        new_markdown_cell(markdown),
        new_code_cell("x = 1 < 2", outputs=[output, text], execution_count=1),
    ]
    path = tmp_path / "run" / "03_train.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_notebook_page_loads_nothing_and_sets_its_formulas(notebook):
    page = write_notebook_page(notebook, notebook.with_suffix(".html"))
    tags = tags_of(page)
    assert not [tag for tag, _ in tags if tag in ("script", "link", "iframe")]
    pictures = [attributes for tag, attributes in tags if tag == "img"]
    assert [p["src"].split(",")[0] for p in pictures] == [
        "data:image/svg+xml;base64",
        "data:image/png;base64",
    ]
    assert [p["alt"] for p in pictures] == [r"\frac{1}{n}\sum_i x_i", "Figure under Training"]
    text = page.read_text()
    assert r"<code>\begin{aligned} a &amp;= b \end{aligned}</code>" in text  # mathtext cannot set it: legible source
    assert "<code>$HOME</code>" in text
    assert "loss &lt;0.5&gt;" in text


def test_the_index_shows_what_there_is(notebook):
    run = notebook.parent
    notebook.with_name("04_eval.failed.ipynb").write_bytes(notebook.read_bytes())
    write_png(run / "04_eval/figures/maps_of_bottle.png", np.zeros((4, 4, 3), np.uint8))
    write_json(run / "04_eval/metrics.json", {"categories": {"bottle": SPREAD}, "mean": SPREAD})
    (run / "05_ablations").mkdir()
    (run / "05_ablations/summary.csv").write_text(
        "factor,variant,metric,mean,std,seeds\nalignment,<soft>,I-AUROC,0.81234,0.02,3\n"
    )
    index = write_index(run)
    assert index == run / "index.html"
    tags = tags_of(index)
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert links == ["03_train.html", "04_eval.failed.html"]
    pictures = [(a["src"], a["alt"]) for tag, a in tags if tag == "img"]
    assert pictures == [("04_eval/figures/maps_of_bottle.png", "maps of bottle")]
    assert all((run / target).is_file() for target in [*links, pictures[0][0]])
    text = index.read_text()
    assert "91.3 ± 0.9" in text
    assert "&lt;soft&gt;" in text
    assert "81.2 ± 2.0" in text
    assert text.count("stopped with an error") == 1
    assert not re.search(r"https?://", text)


def test_an_empty_run_has_an_index_without_empty_sections(tmp_path):
    assert "<h2>" not in write_index(tmp_path).read_text()


def test_a_missing_run_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        write_index(tmp_path / "nowhere")


def test_rows_are_methods_if_methods_are_compared():
    methods = {"ours": {"categories": {}, "mean": SPREAD}, "nearest": SPREAD}
    frame = metrics_frame({"categories": {"bottle": SPREAD}, "mean": SPREAD, "methods": methods})
    assert frame.to_dict() == {"I-AUROC": {"ours": "91.3 ± 0.9", "nearest": "91.3 ± 0.9"}}


def test_rows_are_categories_and_their_mean_otherwise():
    frame = metrics_frame({"categories": {"bottle": SPREAD, "cable": {}}, "mean": SPREAD})
    assert frame["I-AUROC"].to_dict() == {"bottle": "91.3 ± 0.9", "cable": "–", "mean": "91.3 ± 0.9"}

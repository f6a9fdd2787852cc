"""Finding notebooks and reading their declared parameters."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from metauas.ablations.factors import find_files
from metauas.ablations.notebooks import (
    SUITE,
    copy_suite,
    declared_parameters,
    find_notebooks,
    notebooks_folder,
    read_cells,
    suite_file,
)
from metauas.ablations.overview import overview
from metauas.errors import InputError

ROOT = Path(__file__).parents[1]
INDEX = notebooks_folder() / "index.ipynb"


def test_default_folder_is_that_of_the_checkout(monkeypatch):
    monkeypatch.delenv("METAUAS_NOTEBOOKS", raising=False)
    assert notebooks_folder() == Path(__file__).resolve().parents[1] / "notebooks"


def test_missing_folder_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere does not exist.*METAUAS_NOTEBOOKS"):
        notebooks_folder()


def test_a_file_of_the_suite_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert suite_file("params/quick.yaml") == notebooks_folder().parent / "params" / "quick.yaml"
    assert suite_file("params/none.yaml") == Path("params/none.yaml")  # whoever reads it says that it is missing


def test_a_file_that_is_there_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "quick.yaml").touch()
    assert suite_file("params/quick.yaml") == Path("params/quick.yaml")


def test_the_suite_is_copied_whole(tmp_path):
    copied, suite = copy_suite(tmp_path / "mine"), notebooks_folder().parent
    assert copied == tmp_path / "mine" / "notebooks"
    for name in SUITE:
        files = {f.relative_to(suite) for f in (suite / name).rglob("*") if f.is_file() and "/." not in str(f)}
        assert files
        assert {f.relative_to(tmp_path / "mine") for f in (tmp_path / "mine" / name).rglob("*") if f.is_file()} == files
    assert (copied / "02_model.ipynb").read_bytes() == (notebooks_folder() / "02_model.ipynb").read_bytes()


def test_a_copy_of_the_suite_never_overwrites(tmp_path):
    with pytest.raises(InputError, match=r"exists already .* give a new folder"):
        copy_suite(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_notebooks_are_discovered_in_order(make_notebook, tmp_path, monkeypatch):
    for name in ("10_last.ipynb", "02_model.ipynb", "01_synthesis.ipynb", "scratch.ipynb", "3_train.ipynb"):
        make_notebook(name, "a = 1")
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(tmp_path / "notebooks"))
    names = ["01_synthesis.ipynb", "02_model.ipynb", "10_last.ipynb"]
    assert [notebook.name for notebook in find_notebooks()] == names


def test_a_folder_without_numbered_notebooks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(tmp_path))
    with pytest.raises(InputError, match=r"no notebook in .*01_synthesis\.ipynb"):
        find_notebooks()


def test_all_kinds_of_declaration(make_notebook):
    notebook = make_notebook(
        "01_a.ipynb",
        '# seeds everything\nseed: int = 1  # the "=" in a comment\nshift = -0.5\nquery = "size=64"\n'
        "seeds: list[int] = [1, -3]\nname: str | None = None\npair = (1, 2)\nfast = True",
        "derived = seed + 1",
    )
    assert declared_parameters(notebook) == {
        "seed": 1,
        "shift": -0.5,
        "query": "size=64",
        "seeds": [1, -3],
        "name": None,
        "pair": (1, 2),
        "fast": True,
    }


@pytest.mark.parametrize(
    "line",
    [
        "b = 1 + a",
        "import os",
        "b: int",
        "b, c = 1, 2",
        "b = c = 1",
        "a.b = 1",
        "b = [a]",
        'b = f"{a}"',
        "b += 1",
    ],
)
def test_only_literals_may_be_declared(make_notebook, line):
    with pytest.raises(InputError, match="line 2 of the cell tagged 'parameters'"):
        declared_parameters(make_notebook("01_a.ipynb", f"a = 1\n{line}"))


def test_a_cell_that_is_not_python_is_refused(make_notebook):
    with pytest.raises(InputError, match=r"01_a\.ipynb: the cell tagged 'parameters' is not Python"):
        declared_parameters(make_notebook("01_a.ipynb", "a = "))


def test_exactly_one_tagged_cell(make_notebook):
    with pytest.raises(InputError, match="has 0 code cells tagged 'parameters'; it needs exactly one"):
        declared_parameters(make_notebook("01_a.ipynb", "a = 1", tags=("other",)))
    notebook = make_notebook("01_a.ipynb", "a = 1", "b = 2")
    notebook.write_text(notebook.read_text().replace('"metadata": {},', '"metadata": {"tags": ["parameters"]},'))
    with pytest.raises(InputError, match="has 2 code cells"):
        declared_parameters(notebook)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}"])
def test_what_is_no_notebook_is_refused_by_name(tmp_path, text):
    path = tmp_path / "01_broken.ipynb"
    path.write_text(text)
    with pytest.raises(InputError, match=r"01_broken\.ipynb is not a Jupyter notebook"):
        read_cells(path)


@pytest.mark.parametrize("notebook", sorted(notebooks_folder().glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_notebook_is_committed_with_a_warning(notebook):
    outputs = [output for cell in json.loads(notebook.read_text())["cells"] for output in cell.get("outputs", [])]
    shown = [output for output in outputs if output.get("name") == "stderr" or output["output_type"] == "error"]
    assert shown == []


def test_a_copy_is_used_from_its_folder_and_its_notebooks(tmp_path, monkeypatch):
    monkeypatch.delenv("METAUAS_NOTEBOOKS", raising=False)
    copy = copy_suite(tmp_path / "suite")
    (tmp_path / "suite/params/prompt/mine.yaml").write_text("prompt: random\n")
    for place in (copy, tmp_path / "suite"):
        monkeypatch.chdir(place)
        assert notebooks_folder() == copy.resolve()
        assert "mine" in [file.stem for file in find_files(["prompt"])]
    monkeypatch.chdir(tmp_path)
    assert notebooks_folder() != copy.resolve()


def test_a_suite_of_which_a_part_is_missing_cannot_be_copied(make_notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(make_notebook("01_one.ipynb", "a = 1").parent))
    with pytest.raises(InputError, match="params"):
        copy_suite(tmp_path / "suite")
    assert not (tmp_path / "suite").exists()


def test_the_launcher_page_links_to_every_notebook_and_names_what_exists():
    text = "\n".join(cell.source for cell in read_cells(INDEX) if cell.kind == "markdown")
    others = {path.name for path in notebooks_folder().glob("*.ipynb")} - {INDEX.name}
    assert set(re.findall(r"\]\((\S+\.ipynb)\)", text)) == others
    named = re.findall(r"params/[\w-]+\.yaml", text)
    assert named
    assert [name for name in named if not suite_file(name).is_file()] == []


def test_the_launcher_page_is_copied_but_is_no_part_of_a_run(tmp_path, monkeypatch):
    copy, own = copy_suite(tmp_path / "suite"), find_notebooks()
    assert (copy / INDEX.name).read_bytes() == INDEX.read_bytes()
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(copy))
    assert [path.stem for path in find_notebooks()] == [path.stem for path in own]
    assert INDEX.stem not in [path.stem for path in own]


def test_the_first_cell_says_what_to_install_with_extras_that_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for notebook in (*find_notebooks(), INDEX):
        first = read_cells(notebook)[0]
        (named,) = re.findall(r'`%pip install "metauas\[([\w,]+)\]"`', first.source)
        assert {"notebooks"} <= set(named.split(",")) <= extras.keys()


def test_the_overview_has_titles_and_recorded_times(make_notebook, monkeypatch):
    def moment(day):  # the first cell was executed again after the second
        return {
            "iopub.status.busy": f"2026-01-0{day}T00:00:10Z",
            "shell.execute_reply": f"2026-01-0{day}T00:00:40.400Z",
        }

    folder = make_notebook("02_b.ipynb", "a = 1").parent
    path = make_notebook("01_a.ipynb", "a = 1", "b = 2")
    content = json.loads(path.read_text())
    for cell, day in zip(content["cells"][1:], (3, 2), strict=True):
        cell["metadata"]["execution"] = moment(day)
    path.write_text(json.dumps(content))
    make_notebook("index.ipynb", None, "a = 1")
    monkeypatch.setenv("METAUAS_NOTEBOOKS", str(folder))
    table = overview()
    assert table["title"].to_dict() == {"01_a": "A title", "02_b": "A title"}
    assert table.loc["01_a", "seconds"] == 61
    assert table["seconds"].isna().tolist() == [False, True]

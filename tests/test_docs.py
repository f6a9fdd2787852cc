"""The book: its commands are those of the command line, its tutorial runs, its numbers are those that were measured."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from metauas import cli
from metauas.eval.miniature import Counts, write_miniature
from metauas.files import read_json

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TUTORIAL = DOCS / "tutorial.md"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
PROSE = [*PAGES, ARCHITECTURE, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
OURS = r"(?:metauas|notebooks|params|configs|docs|benchmarks|tests|demo)/"


def commands(page):
    """Return the lines of a page's shell blocks that call the package."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("metauas ")]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_commands_are_those_of_the_command_line(page):
    for line in commands(page):
        name, *arguments = shlex.split(line, comments=True)[1:]
        command = typer.main.get_command(cli.cli).commands[name]
        while isinstance(command, click.Group):
            name, *arguments = arguments
            command = command.commands[name]
        command.make_context(name, arguments)  # which refuses what it does not know


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_named_files_exist(page):
    named = re.findall(rf"(?<![\w./-]){OURS}[\w./-]+\.(?:yaml|py|ipynb|md)", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_architecture_names_every_folder_and_only_what_exists():
    text = ARCHITECTURE.read_text()
    (tree,) = re.findall(r"```\n(.*?)```", text, flags=re.S)
    listed = [line.split()[0] for line in tree.splitlines()]
    named = [*listed, *re.findall(rf"`({OURS}[\w./-]*)`", text)]
    assert [name for name in named if not (ROOT / name).exists()] == []
    packages = {f"{file.parent.relative_to(ROOT)}/" for file in (ROOT / "metauas").rglob("__init__.py")}
    assert packages == {name for name in listed if name.startswith("metauas/")}


def architecture_answers():
    """Return question, file and name of every row of the twenty questions."""
    return re.findall(r"^\| ([^|]+\?) \| `([\w./]+)` \| `(\w+)` \|$", ARCHITECTURE.read_text(), flags=re.M)


def test_the_architecture_answers_twenty_questions():
    assert len(architecture_answers()) == 20


@pytest.mark.parametrize(("question", "file", "name"), architecture_answers())
def test_the_file_defines_what_the_question_asks_for(question, file, name):
    assert re.search(rf"^(?:def |class )?{name}\b", (ROOT / file).read_text(), flags=re.M), question


def test_the_tutorial_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_miniature("data/miniature", size=64, counts=Counts(train=12, good=12, defect=1))
    first, *others = commands(TUTORIAL)
    assert first == "metauas benchmark miniature --out data/miniature"  # larger, and drawn by other tests
    for line in others:
        words = [str(path) for word in shlex.split(line)[1:] for path in _globbed(word)]
        result = CliRunner().invoke(cli.cli, words)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception}"
    assert Path("verdicts/scores.csv").is_file()
    assert Path("runs/mine-eval/report.html").is_file()


def _globbed(word):
    """Do as a shell does."""
    return sorted(Path().glob(word)) if "*" in word else [word]


def test_numbers_of_the_limits_are_those_that_were_measured():
    spec = importlib.util.spec_from_file_location("limits", DOCS / "limits.py")
    limits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(limits)
    assert (DOCS / "limits.md").read_text() == limits.page(read_json(DOCS / "limits" / "metrics.json"))


def test_the_book_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    assert {page.stem for page in PAGES} <= {page.stem for page in tmp_path.glob("*.html")}

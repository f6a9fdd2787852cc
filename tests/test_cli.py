"""The command line and the README that describes it."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from metauas import cli
from metauas.eval.miniature import Counts, write_miniature
from metauas.files import read_json
from metauas.images import write_png
from metauas.model import create_model, save_checkpoint
from metauas.seeding import rng_for

README = (Path(__file__).parents[1] / "README.md").read_text()
runner = CliRunner()


def run(*arguments):
    return runner.invoke(cli._app, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(create_model("nano"), tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def images(tmp_path):
    rng = rng_for(0, "cli")
    names = ("normal", "query", "other")
    return {name: write_png(tmp_path / f"{name}.png", rng.random((40, 56, 3))) for name in names}


def test_segment_writes_an_overlay_in_the_querys_own_size_and_prints_a_score(images, checkpoint, tmp_path):
    queries = (images["query"], images["other"])
    options = ("--prompt", images["normal"], "--checkpoint", checkpoint, "--size", 64, "--out", tmp_path / "maps")
    result = run("segment", *queries, *options)
    assert result.exit_code == 0, result.output
    lines = result.output.strip().splitlines()
    assert [0 <= float(line.split()[0]) <= 1 for line in lines] == [True, True]
    from metauas.images import read_image

    assert read_image(tmp_path / "maps" / "query_overlay.png").shape == (40, 56, 3)


@pytest.mark.parametrize("missing", ["prompt", "query", "checkpoint"])
def test_segment_names_what_is_missing_before_any_work(images, checkpoint, tmp_path, missing):
    places = {"prompt": images["normal"], "query": images["query"], "checkpoint": checkpoint}
    places[missing] = tmp_path / f"absent-{missing}.png"
    options = ("--prompt", places["prompt"], "--checkpoint", places["checkpoint"], "--out", tmp_path / "maps")
    result = run("segment", places["query"], *options)
    assert f"absent-{missing}.png" in str(result.exception)
    assert not (tmp_path / "maps").exists()


def test_two_queries_of_one_name_are_refused(images, checkpoint, tmp_path):
    twin = write_png(tmp_path / "elsewhere" / "query.png", np.zeros((8, 8, 3)))
    result = run("segment", images["query"], twin, "--prompt", images["normal"], "--checkpoint", checkpoint)
    assert "'query'" in str(result.exception)


def test_eval_writes_the_metrics_of_every_category(checkpoint, tmp_path):
    root = write_miniature(tmp_path / "bench", seed=0, size=32, counts=Counts(train=1, good=1, defect=1))
    options = ("--checkpoint", checkpoint, "--size", 32, "--seeds", "1,3", "--out", tmp_path / "out")
    result = run("eval", "--data", root, *options)
    assert result.exit_code == 0, result.output
    metrics = read_json(tmp_path / "out" / "metrics.json")
    assert len(metrics["categories"]) == 9
    assert set(metrics["mean"]["AUPRO"]) == {"mean", "std"}
    assert len(metrics["methods"]) == 3


def test_train_takes_its_keys_of_a_parameter_file_and_refuses_misspelt_ones(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 2\nsize: 32\nbatch_size: 2\nvalidation_pairs: 8\nprompt: nearest\n")
    result = run("train", "--params", file, "--out", tmp_path / "run", "--steps", 1)
    assert result.exit_code == 0, result.exception
    assert read_json(tmp_path / "run" / "settings.json")["steps"] == 1
    file.write_text("stepz: 2\n")
    result = run("train", "--params", file, "--out", tmp_path / "other")
    assert "did you mean 'steps'" in str(result.exception)
    assert not (tmp_path / "other").exists()


def test_seeds_must_be_numbers(checkpoint):
    result = run("eval", "--checkpoint", checkpoint, "--seeds", "one")
    assert "1,3,5" in str(result.exception)


def test_a_mistake_ends_with_one_sentence_and_status_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["metauas", "run", "--params", str(tmp_path / "absent.yaml")])
    with pytest.raises(SystemExit) as end:
        cli.app()
    assert end.value.code == 2
    assert "absent.yaml" in capsys.readouterr().err


def readme_commands():
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    lines = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("metauas ")]


@pytest.mark.parametrize("command", readme_commands(), ids=" ".join)
def test_every_command_of_the_readme_is_one(command):
    words = [word for word in command[1:3] if re.fullmatch("[a-z]+", word)]
    result = run(*words, "--help")
    options = {word for word in command if word.startswith("--")}
    assert result.exit_code == 0 or not words[1:], result.output
    help_text = run(*(words if result.exit_code == 0 else words[:1]), "--help").output
    assert {option for option in options if option not in help_text} <= {"--help"}


def test_the_readmes_python_runs(checkpoint, images, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    monkeypatch.chdir(images["normal"].parent)
    names: dict[str, object] = {}
    exec(code.replace("runs/offline/03_train/checkpoint", str(checkpoint)), names)
    assert names["anomaly_map"].shape == (1, 1, 96, 96)


def test_readme_links_exist():
    root = Path(__file__).parents[1]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (root / link).exists()] == []

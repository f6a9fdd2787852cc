"""The command line and the README that describes it."""

import math
import re
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from metauas import cli
from metauas.errors import InputError
from metauas.eval import BASELINES, DISTURBANCES, LAYOUTS, PROMPTS, EvalSettings
from metauas.eval.miniature import Counts, write_miniature
from metauas.files import read_json
from metauas.files.images import read_image, to_tensor, write_png
from metauas.model import ModelConfig, TiledNetwork, create_model, load_checkpoint, save_checkpoint
from metauas.model.weights.official import official_name
from metauas.seeding import rng_for
from metauas.synthesis import PRESETS
from metauas.train import TrainSettings
from metauas.train.settings import Execution, Validation

README = (Path(__file__).parents[1] / "README.md").read_text()
runner = CliRunner()


def run(*arguments):
    return runner.invoke(cli.cli, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(create_model("lite"), tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A file such as the author's, with random weights."""
    path = tmp_path_factory.mktemp("official") / "metauas-256.ckpt"
    state = create_model("b4", encoder_weights="random").state_dict()
    torch.save({official_name(name): tensor for name, tensor in state.items()}, path)
    yield path
    path.unlink()  # 90 MB


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
    lines = result.stdout.strip().splitlines()
    assert [0 <= float(line.split()[0]) <= 1 for line in lines] == [True, True]
    from metauas.files.images import read_image

    assert read_image(tmp_path / "maps" / "query_overlay.png").shape == (40, 56, 3)


@pytest.mark.parametrize("missing", ["prompt", "query", "checkpoint"])
def test_segment_names_what_is_missing_before_any_work(images, checkpoint, tmp_path, missing):
    places = {"prompt": images["normal"], "query": images["query"], "checkpoint": checkpoint}
    places[missing] = tmp_path / f"absent-{missing}.png"
    options = ("--prompt", places["prompt"], "--checkpoint", places["checkpoint"], "--out", tmp_path / "maps")
    result = run("segment", places["query"], *options)
    assert f"absent-{missing}.png" in str(result.exception)
    assert not (tmp_path / "maps").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="counts characters, not bytes")
def test_segment_refuses_a_query_whose_results_would_have_names_too_long(images, checkpoint, tmp_path):
    fits, long = (shutil.copy(images["query"], tmp_path / f"{'ä' * 120}{end}.png") for end in ("ab", "abc"))
    options = ("--prompt", images["normal"], "--checkpoint", checkpoint, "--size", 32, "--out", tmp_path / "maps")
    result = run("segment", images["other"], long, *options)
    assert "abc.png is too long: those of its results would have more than 255 bytes" in str(result.exception)
    assert str(result.exception).endswith("; shorten it by at least 1 bytes")
    assert not (tmp_path / "maps").exists()
    assert run("segment", fits, *options).exit_code == 0


def test_queries_of_one_name_and_several_prompts(images, checkpoint, tmp_path):
    twin = write_png(tmp_path / "elsewhere" / "query.png", np.zeros((8, 8, 3)))
    prompts = ["--prompt", images["normal"], "--prompt", twin]
    options = ["--checkpoint", checkpoint, "--out", tmp_path / "out", "--size", 64, "--threshold", 0.5]
    result = run("segment", images["query"], twin.parent, *prompts, *options)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*_overlay.png"))) == 2
    assert read_json(tmp_path / "out" / "results.json")["prompts"] == [str(images["normal"]), str(twin)]


@pytest.fixture
def normals(tmp_path):
    rng = rng_for(1, "cli")
    return [write_png(tmp_path / "good" / f"{i}.png", rng.random((40, 56, 3))) for i in range(4)]


@pytest.fixture
def own_checkpoint(checkpoint, tmp_path):
    """A checkpoint into which a test may write."""
    return save_checkpoint(load_checkpoint(checkpoint), tmp_path / "own")


def test_calibrate_then_segment_gives_verdicts_contours_and_tables(images, normals, own_checkpoint, tmp_path):
    options = ("--prompt", images["normal"], "--checkpoint", own_checkpoint, "--size", 64)
    result = run("calibrate", images["normal"], *normals, *options, "--rate", 0.2)
    assert result.exit_code == 0, result.exception
    assert result.stderr.startswith(f"left out: {images['normal']},")
    printed = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert list(printed) == ["threshold", "false positives", "interval", "calibration"]
    calibration = read_json(own_checkpoint / "calibration.json")
    assert (calibration["images"], f"{calibration['threshold']:.4f}") == (4, printed["threshold"])

    result = run("segment", images["query"], *normals, *options, "--out", tmp_path / "maps")
    assert result.exit_code == 0, result.exception
    verdicts = [line.split()[1] for line in result.stdout.splitlines()]
    assert verdicts[1:] == ["OK"] * 4  # at a rate of 0.2 the threshold is the highest of four scores
    written = read_json(tmp_path / "maps" / "results.json")
    assert written["calibration"] == calibration
    assert [image["verdict"] for image in written["images"]] == verdicts
    assert [(i["score"] > written["threshold"]) == bool(i["regions"]) for i in written["images"]] == [True] * 5
    assert len((tmp_path / "maps" / "scores.csv").read_text().splitlines()) == 6
    gallery = (tmp_path / "maps" / "gallery.html").read_text()
    shown = re.findall(r'<img loading="lazy" src="([^"]+)"', gallery)
    ranked = sorted(written["images"], key=lambda image: -image["score"])
    assert shown == [Path(image["overlay"]).name for image in ranked]
    assert all((tmp_path / "maps" / name).is_file() for name in shown)


def test_a_threshold_gives_verdicts_without_a_calibration(images, checkpoint, tmp_path):
    options = ("--prompt", images["normal"], "--checkpoint", checkpoint, "--size", 64, "--out", tmp_path / "maps")
    assert "  DEFECTIVE  " in run("segment", images["query"], *options, "--threshold", 0).output
    assert "  OK  " in run("segment", images["query"], *options, "--threshold", 1).output
    assert read_json(tmp_path / "maps" / "results.json")["calibration"] is None
    result = run("segment", images["query"], *options, "--threshold", 0.5, "--scores-only")
    assert "give one of them" in str(result.exception)


def test_tiles_see_images_of_their_own_size_and_have_their_own_calibration(images, normals, own_checkpoint, tmp_path):
    options = ("--prompt", images["normal"], "--checkpoint", own_checkpoint, "--size", 32, "--single-pass")
    assert run("calibrate", *normals, *options, "--rate", 0.25, "--tiles").exit_code == 0
    result = run("segment", images["query"], *options, "--tiles", "--out", tmp_path / "maps")
    assert result.exit_code == 0, result.exception
    network = TiledNetwork(load_checkpoint(own_checkpoint), side=32)
    query, prompt = (to_tensor(read_image(images[name]))[None] for name in ("query", "normal"))
    score = network.segment(query, prompt).max()
    written = read_json(tmp_path / "maps" / "results.json")
    assert written["tiles"]
    assert written["images"][0]["score"] == pytest.approx(score.item(), abs=1e-6)
    refused = run("segment", images["query"], *options, "--out", tmp_path / "untiled")
    assert "other weights, scales, similarity or tiles" in str(refused.exception)


def test_a_calibration_for_something_else_is_refused_and_can_be_passed_over(images, normals, own_checkpoint, tmp_path):
    options = ("--prompt", images["normal"], "--checkpoint", own_checkpoint)
    file = tmp_path / "elsewhere.json"
    assert run("calibrate", *normals, *options, "--rate", 0.25, "--size", 64, "--out", file).exit_code == 0
    assert not (own_checkpoint / "calibration.json").exists()
    file.rename(own_checkpoint / "calibration.json")
    segment = ("segment", images["query"], *options, "--size", 32, "--out", tmp_path / "maps")
    assert "is for size 64, not 32" in str(run(*segment).exception)
    assert not (tmp_path / "maps").exists()
    assert "->" in run(*segment, "--scores-only").output.split("  ")
    (image,) = read_json(tmp_path / "maps" / "results.json")["images"]
    assert (image["verdict"], image["regions"]) == ("", [])


def test_calibrate_says_how_many_images_a_rate_needs(images, normals, tmp_path):
    result = run("calibrate", *normals, "--prompt", images["normal"], "--checkpoint", tmp_path / "absent")
    assert "needs 99 normal images besides the prompt, not 4" in str(result.exception)


def test_export_writes_both_graphs(tmp_path):
    small = {"encoder": "test_efficientnet", "encoder_weights": "random", "alignment": "none"}
    model = create_model("lite", **small, aligned_stages=1, decoder_channels=(8,))
    checkpoint = save_checkpoint(model, tmp_path / "checkpoint")
    result = run("export", "--checkpoint", checkpoint, "--out", tmp_path / "out", "--size", 32, "--format", "torch")
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "out") in result.output.replace("\n", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["prompt.pt2", "query.pt2"]


def test_export_refuses_an_unknown_format(checkpoint, tmp_path):
    result = run("export", "--checkpoint", checkpoint, "--out", tmp_path / "out", "--format", "keras")
    assert result.exit_code == 2
    assert "keras" in result.output
    assert "torch" in result.output
    assert not (tmp_path / "out").exists()


@pytest.fixture
def folder(tmp_path):
    return write_miniature(tmp_path / "bench", seed=0, size=32, counts=Counts(train=1, good=1, defect=1))


def test_eval_writes_the_metrics_of_every_category(checkpoint, tmp_path):
    root = write_miniature(tmp_path / "bench", seed=0, size=32, counts=Counts(train=1, good=1, defect=1))
    options = ("--checkpoint", checkpoint, "--size", 32, "--seeds", "1,3", "--out", tmp_path / "out")
    result = run("eval", "--data", root, *options)
    assert result.exit_code == 0, result.output
    metrics = read_json(tmp_path / "out" / "metrics.json")
    assert len(metrics["categories"]) == 9
    assert set(metrics["mean"]["AUPRO"]) == {"mean", "std"}
    assert list(metrics["methods"]) == ["lite", *BASELINES]
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Test images, failures first" in report
    assert str(checkpoint) in report


def test_eval_writes_table_and_maps_and_prints_both_definitions(folder, checkpoint, tmp_path):
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("category,filename\nbrick,brick/train/good/000.png\nbottle,bottle/train/good/000.png\n")
    options = ("--data", folder, "--checkpoint", checkpoint, "--prompt", prompts, "--size", 32, "--queries-at-once", 2)
    flags = ("--maps", "--no-baselines", "--official", "--device", "cpu")
    result = run("eval", *options, "--categories", "brick, bottle", *flags, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    metrics = read_json(tmp_path / "out" / "metrics.json")
    assert list(metrics["categories"]) == list(metrics["official"]["categories"]) == ["brick", "bottle"]
    assert list(metrics["methods"]) == ["lite"]
    assert (metrics["right_class"], metrics["settings"]["prompt"]) == (1, str(prompts))
    lines = (tmp_path / "out" / "metrics.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 7  # a header; two definitions of seven metrics for two categories
    images = {
        path.relative_to(folder) for name in ("brick", "bottle") for path in (folder / name / "test").rglob("*.png")
    }
    maps = tmp_path / "out" / "maps" / "seed-1"
    assert {path.relative_to(maps) for path in maps.rglob("*.png")} == images
    for text in ("exact metrics", "official metrics", f"written: {tmp_path / 'out' / 'metrics.csv'}"):
        assert text in result.output.replace("\n", " ")


def test_eval_shows_what_is_missing(folder, checkpoint, tmp_path):
    shutil.rmtree(folder / "brick" / "ground_truth")
    options = ("--data", folder, "--layout", "folder", "--categories", "bottle,brick", "--checkpoint", checkpoint)
    result = run("eval", *options, "--size", 32, "--seeds", "1", "--no-baselines", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert "AUPRO: mean over 1 of 2 categories" in result.output
    assert "I-AUROC: mean" not in result.output
    (row,) = [line for line in result.stdout.splitlines() if "brick" in line]
    assert row.count("–") == 4
    assert read_json(tmp_path / "out" / "metrics.json")["categories"]["brick"]["AUPRO"]["mean"] is None


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--prompt", "neerest", "did you mean 'nearest'"),
        ("--prompt", "absent.json", "absent.json does not exist"),
        ("--shots", "2", "shots=2: category 'board' has 1 normal images"),
        ("--seeds", "one", "1,3,5"),
        ("--categories", "botle", "did you mean 'bottle'"),
        ("--checkpoint", "absent", "absent does not exist"),
        ("--device", "gpu", "device='gpu' is not known"),
        ("--queries-at-once", "0", "queries_at_once=0"),
    ],
)
def test_eval_says_what_is_wrong_before_any_work(folder, checkpoint, tmp_path, option, value, message):
    options = {"--data": folder, "--checkpoint": checkpoint, "--out": tmp_path / "out", option: value}
    result = run("eval", *(word for pair in options.items() for word in pair))
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_eval_refuses_a_folder_that_it_cannot_write(folder, checkpoint, images):
    result = run("eval", "--data", folder, "--checkpoint", checkpoint, "--out", images["normal"] / "out")
    assert "normal.png is a file; choose another folder" in str(result.exception)


def test_robustness_writes_numbers_and_curves(folder, checkpoint, tmp_path):
    options = ("--data", folder, "--categories", "brick,bottle", "--checkpoint", checkpoint, "--size", 32)
    given = ("--disturbances", "blur, defective", "--seeds", "1,3", "--device", "cpu")
    result = run("robustness", *options, *given, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert list(read_json(tmp_path / "out" / "metrics.json")["disturbances"]) == ["blur", "defective"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics.json", "metrics.csv", "robustness.png"}
    result = run("robustness", *options, "--disturbances", "rotaton", "--out", tmp_path / "other")
    assert "did you mean 'rotation'" in str(result.exception)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("eval", [*LAYOUTS, *PROMPTS, *get_args(EvalSettings.model_fields["plus"].annotation)]),
        ("robustness", [*LAYOUTS, *DISTURBANCES]),
        ("data check", LAYOUTS),
    ],
)
def test_help_lists_every_name_that_the_code_accepts(command, names):
    words = re.findall("[a-z0-9-]+", run(*command.split(), "--help").output)
    assert set(names) <= set(words)


def test_data_check_ends_with_0_only_without_findings(folder):
    result = run("data", "check", "folder", folder)
    assert result.exit_code == 0, result.output
    assert "no findings" in result.output
    mask = next((folder / "bottle" / "ground_truth").rglob("*.png"))
    write_png(mask, np.zeros((32, 32), dtype=bool))
    result = run("data", "check", "folder", folder, "--deep")
    assert result.exit_code == 1
    assert f"bottle: {mask} is empty" in result.output
    assert "no findings" not in result.output


def test_data_check_knows_the_fields_benchmarks(folder):
    result = run("data", "check", "visa", folder, "--layout", "mvtec")
    assert result.exit_code == 1
    assert "missing: category candle" in result.output
    result = run("data", "check", "visaa", folder)
    assert "did you mean 'visa'" in str(result.exception)


def test_data_info_of_one_and_of_all():
    result = run("data", "info", "visa")
    assert (result.exit_code, "CC BY 4.0" in result.output) == (0, True)
    result = run("data", "info")
    assert (result.exit_code, "MVTec AD" in result.output) == (0, True)
    assert "choose one of mvtec, visa" in str(run("data", "info", "imagenet").exception)


def test_names_in_the_help_are_those_that_the_code_accepts():
    assert (tuple(LAYOUTS), tuple(DISTURBANCES)) == (cli.options.LAYOUTS, cli.options.DISTURBANCES)


def test_train_takes_its_keys_of_a_parameter_file_and_refuses_misspelt_ones(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 2\nsize: 32\nbatch_size: 2\nvalidation: {pairs: 8}\nprompt: nearest\n")
    result = run(
        "train", "--params", file, "--out", tmp_path / "run", "--set", "steps=1", "--set", "validation.every=9"
    )
    assert result.exit_code == 0, result.exception
    settings = read_json(tmp_path / "run" / "settings.json")
    assert (settings["steps"], settings["validation"]["pairs"], settings["validation"]["every"]) == (1, 8, 9)
    file.write_text("stepz: 2\n")
    result = run("train", "--params", file, "--out", tmp_path / "other")
    assert "did you mean 'steps'" in str(result.exception)
    assert not (tmp_path / "other").exists()


def test_train_takes_written_pairs_of_a_file_or_in_place_of_its_recipe(tmp_path, monkeypatch):
    taken = []
    result = SimpleNamespace(checkpoint="made")
    monkeypatch.setattr("metauas.train.train", lambda settings, **_: taken.append(settings) or result)
    file = tmp_path / "mine.yaml"
    for text, options in (("pairs: data/pairs\n", ()), ("recipe: goods\nsizes: [64]\n", ("--pairs", "data/pairs"))):
        file.write_text(text)
        assert run("train", "--params", file, *options).exit_code == 0
    assert taken == [TrainSettings(pairs="data/pairs")] * 2
    assert run("train", "--params", file, "--set", "recipe.kinds=[local]").exit_code == 0
    assert taken[-1].recipe == {"preset": "goods", "kinds": ["local"]}


def test_a_loss_that_is_no_number_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("metauas.train.learner.Learner._gradients", lambda self, *part, **how: torch.tensor(math.nan))
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 1\nsize: 32\nbatch_size: 2\nvalidation: {pairs: 8}\n")
    result = run("train", "--params", file, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "lower learning_rate" in result.output


def test_synthesize_writes_pairs_and_goes_on_only_with_the_same_settings(tmp_path):
    from metauas.synthesis import WrittenPairs

    (tmp_path / "mine.yaml").write_text("preset: delunnli\nsize: 16\ncount: 900\nshard_size: 5\n")
    given = ("--config", tmp_path / "mine.yaml", "--out", tmp_path / "pairs", "--workers", 0, "--count", 20)
    result = run("synthesize", *given, "--seed", 3)
    assert result.exit_code == 0, result.exception
    assert "{'train': 19, 'validation': 1} pairs" in result.output
    assert len(WrittenPairs(tmp_path / "pairs")) == 19
    assert read_json(tmp_path / "pairs" / "summary.json")["settings"]["seed"] == 3
    assert "seed=4 (there: 3)" in str(run("synthesize", *given, "--seed", 4).exception)
    assert "did you mean 'draem'" in str(run("synthesize", *given, "--preset", "drame").exception)


def test_inspect_shows_what_pairs_hold_and_writes_its_findings(tmp_path):
    result = run("inspect", "embedded", "--count", 12, "--size", 32, "--out", tmp_path / "found")
    assert result.exit_code == 0, result.exception
    assert "12 pairs" in result.output
    assert re.search(r"exact duplicates: 0\n", result.output)
    summary = read_json(tmp_path / "found" / "inspection.json")
    assert sum(kind["pairs"] for kind in summary["kinds"].values()) == summary["pairs"] == 12
    assert len(list((tmp_path / "found").glob("gallery-*.png"))) >= len(summary["kinds"])


def test_inspect_takes_written_pairs(tmp_path):
    settings = ("--preset", "offline", "--count", 6, "--workers", 0, "--out", tmp_path / "pairs")
    assert run("synthesize", *settings).exit_code == 0
    result = run("inspect", tmp_path / "pairs", "--count", 3)
    assert result.exit_code == 0, result.exception
    assert "3 pairs" in result.output


def test_inspect_names_what_is_no_pairs(tmp_path):
    assert "embedded" in str(run("inspect", tmp_path / "absent").exception)
    assert "holds no pairs" in str(run("inspect", tmp_path, "--out", tmp_path / "found").exception)
    assert "'--seed'" in run("inspect", "embedded", "--seed", -1).output
    assert not (tmp_path / "found").exists()
    assert "choose one of train, validation" in str(run("inspect", "embedded", "--split", "test").exception)


def test_synthesize_names_the_shards_that_failed(tmp_path):
    (tmp_path / "photographs").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "photographs" / name).write_bytes(b"no image")
    (tmp_path / "mine.yaml").write_text(f"photographs: {tmp_path / 'photographs'}\npictures: {{photographs: 1.0}}\n")
    given = ("--config", tmp_path / "mine.yaml", "--out", tmp_path / "pairs", "--workers", 0, "--count", 2)
    result = run("synthesize", *given)
    assert result.exit_code == 1
    assert "train/pairs-00000-of-00001.parquet" in result.output
    assert "b.png cannot be read as an image" in result.output


def test_convert_saves_the_authors_checkpoint_as_ours(official, tmp_path):
    result = run("convert", official, "--out", tmp_path / "ours")
    assert result.exit_code == 0, result.exception
    (expected, found) = (load_checkpoint(path).state_dict() for path in (official, tmp_path / "ours"))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    (tmp_path / "ours" / "model.safetensors").unlink()


def test_convert_leaves_nothing_of_a_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "page.ckpt").write_text("<!DOCTYPE html>")
    result = run("convert", tmp_path / "page.ckpt", "--out", tmp_path / "ours")
    assert "give the author's metauas-256.ckpt" in str(result.exception)
    assert not (tmp_path / "ours").exists()


def test_segment_takes_the_authors_checkpoint_itself(official, images, tmp_path):
    options = ("--prompt", images["normal"], "--checkpoint", official, "--size", 64, "--out", tmp_path / "maps")
    result = run("segment", images["query"], *options)
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "maps" / "query_overlay.png").is_file()


def test_names_in_a_message_are_shown_as_they_are(monkeypatch, capsys, tmp_path):
    torch.save({"[/red]fc[0]": torch.ones(1)}, tmp_path / "other.ckpt")
    arguments = ["metauas", "convert", str(tmp_path / "other.ckpt"), "--out", str(tmp_path / "ours")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        cli.app()
    assert "unexpected: [/red]fc[0];" in capsys.readouterr().err


def test_a_mistake_ends_with_one_sentence_and_status_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["metauas", "run", "--params", str(tmp_path / "absent.yaml")])
    with pytest.raises(SystemExit) as end:
        cli.app()
    assert end.value.code == 2
    assert "absent.yaml" in capsys.readouterr().err


def readme_commands():
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    lines = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    return [line for line in [*lines, *re.findall(r"`(metauas [a-z][^`]*)`", README)] if line.startswith("metauas ")]


@pytest.mark.parametrize("line", readme_commands())
def test_every_command_of_the_readme_is_one(line):
    name, *arguments = shlex.split(line)[1:]
    command = typer.main.get_command(cli.cli).commands[name]
    command.make_context(name, arguments)  # which refuses what it does not know


def test_the_readme_is_short():
    assert len(readme_commands()) >= 8
    assert len(README.split()) <= 700


def test_the_readmes_python_runs(images, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    monkeypatch.chdir(images["normal"].parent)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["anomaly_map"].shape == (1, 1, 256, 256)


def test_readme_links_exist():
    root = Path(__file__).parents[1]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_the_book_names_every_preset_of_synthesis_and_settings_of_training():
    docs = Path(__file__).parents[1] / "docs"
    words = set(re.findall(r"`([\w-]+)(?::[^`]*)?`", (docs / "synthesis.md").read_text()))
    assert words >= set(PRESETS)
    options = (docs / "training.md").read_text().split("## Options worth knowing")[1]
    named = set(re.findall(r"[`{](\w+)[`:]", options)) - {"pip", "OMP_NUM_THREADS"}
    assert named >= {"patience", "sizes", "image_weight"}
    known = (TrainSettings, Validation, Execution, ModelConfig)
    assert named <= {field for settings in known for field in settings.model_fields}

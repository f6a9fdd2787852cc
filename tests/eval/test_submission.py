"""The archive for MVTec AD 2's server, against the description in MVTec's public code for uploads."""

import tarfile
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from metauas import cli
from metauas.errors import InputError
from metauas.eval import EvalSettings, evaluate, open_benchmark
from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts
from metauas.eval.benchmarks.layouts import load_sample
from metauas.eval.prompts.selection import random_prompts
from metauas.eval.report.submission import write_submission
from metauas.files.images import stack_images
from metauas.model import save_checkpoint
from metauas.seeding import rng_for

SIZE = 64
SETTINGS = EvalSettings(seeds=(3, 1), size=SIZE)
COUNTS = {"can": Counts(2, 1, 1, 19, 3), "vial": Counts(2, 1, 1, 20, 2)}
#: Width and height of the private images.
SIZES = {"can": (96, 40), "vial": (48, 100)}


class Difference:
    """A network whose map is the difference of the greys, so that every number can be computed by hand."""

    label, training = "difference", False

    def embed(self, images):
        return images.mean(dim=(2, 3))

    def encode_prompt(self, prompt):
        return prompt

    def segment(self, queries, prompt):
        return (queries - prompt).mean(dim=1, keepdim=True).abs()


def draw(path, *, size=(SIZE, SIZE), square=False):
    """Write a dark noise image, with a white square if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng_for(*path.parts[-4:]).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    if square:
        pixels[5:25, 10:30] = 255
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A copy of the layout with two categories; every private image of even number has a defect."""
    root = tmp_path_factory.mktemp("mvtec2")
    for name, known in COUNTS.items():
        folder = root / name
        for part, count in (("train/good", known.train), ("validation/good", known.validation)):
            for number in range(count):
                draw(folder / part / f"{number:03}_regular.png")
        draw(folder / "test_public/good/000_regular.png")
        draw(folder / "test_public/bad/000_regular.png", square=True)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[5:25, 10:30] = 255
        (folder / "test_public/ground_truth/bad").mkdir(parents=True)
        Image.fromarray(mask).save(folder / "test_public/ground_truth/bad/000_regular_mask.png")
        for part, light in (("test_private", "regular"), ("test_private_mixed", "mixed")):
            for number in range(known.unlabelled):
                draw(folder / part / f"{number:03}_{light}.png", size=SIZES[name], square=number % 2 == 0)
    return root


@pytest.fixture(autouse=True)
def _as_published(monkeypatch):
    monkeypatch.setitem(CATALOGUE, "mvtec2", replace(CATALOGUE["mvtec2"], categories=COUNTS))


def unpack(archive, folder):
    with tarfile.open(archive, "r:gz") as file:
        file.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def check_as_mvtec_does(top):
    """Check names, types and values as ``check_and_prepare_data_for_upload.py`` describes them."""
    assert {path.name for path in top.iterdir()} == {"anomaly_images", "anomaly_images_thresholded"}
    for kind, suffix in (("anomaly_images", ".tiff"), ("anomaly_images_thresholded", ".png")):
        assert {path.name for path in (top / kind).iterdir()} == set(COUNTS)
        for name, known in COUNTS.items():
            assert {path.name for path in (top / kind / name).iterdir()} == {"test_private", "test_private_mixed"}
            for part, light in (("test_private", "regular"), ("test_private_mixed", "mixed")):
                files = sorted((top / kind / name / part).iterdir())
                assert [file.name for file in files] == [f"{i:03}_{light}{suffix}" for i in range(known.unlabelled)]
                for file in files:
                    is_map = suffix == ".tiff"
                    pixels = tifffile.imread(file) if is_map else np.asarray(Image.open(file))
                    assert pixels.shape == SIZES[name][::-1]
                    assert pixels.dtype == (np.float16 if is_map else np.uint8)
                    assert is_map or set(np.unique(pixels)) <= {0, 255}


def test_the_archive_is_as_mvtec_describes_it(root, tmp_path):
    benchmark = open_benchmark(root, layout="mvtec2")
    path = write_submission(tmp_path / "out" / "s.tar.gz", Difference(), benchmark, SETTINGS)
    assert [file.name for file in path.parent.iterdir()] == ["s.tar.gz"]
    check_as_mvtec_does(unpack(path, tmp_path / "unpacked"))


@pytest.mark.parametrize("name", COUNTS)
def test_masks_are_the_maps_above_the_highest_validation_score(root, tmp_path, name):
    benchmark = open_benchmark(root, layout="mvtec2")
    path = write_submission(tmp_path / "s.tar.gz", Difference(), benchmark, SETTINGS)
    top = unpack(path, tmp_path / "unpacked")
    (category,) = (category for category in benchmark.categories if category.name == name)
    prompt = stack_images(random_prompts(category, seed=3), size=SIZE)

    def segment(image):
        return Difference().segment(stack_images([image], size=SIZE), prompt)[0, 0]

    # of 19 or 20 normal images, one may be at or above a threshold of 5 %
    threshold = float(max(segment(image).max() for image in category.validation))
    for number, image in enumerate(category.unlabelled["test_private"]):
        found = tifffile.imread(top / "anomaly_images" / name / "test_private" / f"{image.stem}.tiff")
        mask = np.asarray(Image.open(top / "anomaly_images_thresholded" / name / "test_private" / image.name)) > 0
        assert float(found.max()) == pytest.approx(float(segment(image).max()), abs=1e-3)  # float16 near 1
        far = np.abs(found.astype(np.float64) - threshold) > 1e-3
        np.testing.assert_array_equal(mask[far], found[far] > threshold)
        if number % 2 == 0:
            assert mask[8:22, 13:27].all()
        assert mask.mean() < 0.5


def test_segf1_of_an_evaluation_is_at_the_same_threshold(root):
    benchmark = open_benchmark(root, layout="mvtec2")
    settings = EvalSettings(seeds=(3,), size=SIZE)
    cells = evaluate(Difference(), benchmark, settings, baselines=False).metrics()["categories"]
    for category in benchmark.categories:
        prompt = stack_images(random_prompts(category, seed=3), size=SIZE)
        images = [sample.path for sample in category.test]
        normal, test = (
            Difference().segment(stack_images(paths, size=SIZE), prompt)[:, 0].numpy()
            for paths in (category.validation, images)
        )
        masks = np.stack([load_sample(sample, SIZE)[1] for sample in category.test])
        found = test > normal.max()
        precision, recall = masks[found].mean(), found[masks].mean()
        assert cells[category.name]["SegF1"]["mean"] == pytest.approx(2 / (1 / precision + 1 / recall), abs=1e-6)
        assert precision > 0.5
        assert recall > 0.5


def test_the_command_writes_it_after_the_evaluation(root, model, tmp_path):
    checkpoint = save_checkpoint(model, tmp_path / "checkpoint")
    given = {"data": root, "layout": "mvtec2", "checkpoint": checkpoint, "seeds": 1, "size": SIZE}
    options = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    out = tmp_path / "out"
    result = CliRunner().invoke(cli.cli, ["eval", "--submit", "--no-baselines", *options, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "SegF1" in result.output
    assert "AUPRO@0.05" in result.output
    assert f"written: {out / 'submission.tar.gz'}" in result.output.replace("\n", "")
    check_as_mvtec_does(unpack(out / "submission.tar.gz", tmp_path / "unpacked"))
    report = (out / "report.html").read_text(encoding="utf-8")
    assert report.count("SegF1") >= 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"categories": COUNTS | {"rice": Counts(1, 1, 1)}}, "needs all categories of MVTec AD 2; missing: rice"),
        ({"categories": COUNTS | {"can": replace(COUNTS["can"], unlabelled=4)}}, "can/test_private: 1 .* 003_regular"),
        ({"categories": {"can": COUNTS["can"]}}, "category 'vial' is not one of MVTec AD 2"),
    ],
)
def test_a_copy_that_is_not_the_published_one_is_refused(root, tmp_path, monkeypatch, change, expected):
    monkeypatch.setitem(CATALOGUE, "mvtec2", replace(CATALOGUE["mvtec2"], **change))
    with pytest.raises(InputError, match=expected):
        write_submission(tmp_path / "s.tar.gz", Difference(), open_benchmark(root, layout="mvtec2"), SETTINGS)
    assert not list(tmp_path.iterdir())


def test_thresholds_need_validation_images_and_prompts_for_them(root, tmp_path, tiny_benchmark):
    benchmark = open_benchmark(root, layout="mvtec2")
    can, vial = benchmark.categories
    few = replace(benchmark, categories=[replace(can, validation=can.validation[1:]), vial])
    wrong = {
        "category 'can', folder validation: a false-positive rate of 0.05 needs 19 normal images": (few, SETTINGS),
        "prompt='defective' gives no prompts for validation images": (
            benchmark,
            EvalSettings(seeds=(1,), size=SIZE, prompt="defective"),
        ),
        "a submission is of MVTec AD 2, not of layout 'mvtec'": (tiny_benchmark, SETTINGS),
    }
    for text, (given, settings) in wrong.items():
        with pytest.raises(InputError, match=text):
            write_submission(tmp_path / "s.tar.gz", Difference(), given, settings)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_stays(root, tmp_path):
    class Broken(Difference):
        def segment(self, queries, prompt):
            if queries.max() > 0.9:  # from the first image with a defect on
                raise RuntimeError("broken")
            return super().segment(queries, prompt)

    with pytest.raises(RuntimeError, match="broken"):
        write_submission(tmp_path / "s.tar.gz", Broken(), open_benchmark(root, layout="mvtec2"), SETTINGS)
    assert not list(tmp_path.iterdir())

"""Every layout as its authors write it, with tiny images: counts, labels, masks, and an evaluation from end to end."""

import csv
import json
import math
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from metauas import cli
from metauas.errors import InputError
from metauas.eval import LAYOUTS, EvalSettings, evaluate, open_benchmark
from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts, find_source
from metauas.eval.benchmarks.check import check_data
from metauas.eval.benchmarks.layouts import load_sample, mask_files
from metauas.files import read_json, write_json
from metauas.model import save_checkpoint
from metauas.seeding import rng_for

SIZE = 64
TRAIN, NORMAL, DEFECTIVE = 3, 2, 2
VALIDATION, PRIVATE = 19, 2
MORE = {"mvtec2": (VALIDATION, PRIVATE)}  # of the layouts with further images
CATEGORIES = {
    "mvtec": ("bottle", "metal_nut"),
    "visa": ("candle", "pcb1"),
    "goods": ("drink_can", "food_box"),
    "btad": ("01", "03"),
    "loco": ("pushpins", "screw_bag"),
    "mvtec2": ("can", "sheet_metal"),
    "mpdd": ("bracket_black", "tubes"),
    "real-iad": ("audiojack", "usb"),
    "real-iad-single": ("audiojack", "usb"),
    "folder": ("mine", "yours"),
}


def draw(path):
    """Write an image of noise that depends on its name alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng_for(str(path.relative_to(path.parents[3]))).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def mark(path, *, rows=slice(8, 24), value=255):
    """Write a mask that is ``value`` in some rows of the left half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[rows, :32] = value
    Image.fromarray(mask).save(path)


def write_folders(root, name, *, good="good", defects=("crack", "hole"), image="{:03}.png", mask="{:03}_mask.png"):
    for number in range(TRAIN):
        draw(root / name / "train" / good / image.format(number))
    for number in range(NORMAL):
        draw(root / name / "test" / good / image.format(number))
    for number in range(DEFECTIVE):
        defect = defects[number % len(defects)]
        draw(root / name / "test" / defect / image.format(number))
        mark(root / name / "ground_truth" / defect / mask.format(number))


def write_mvtec(root, name):
    write_folders(root, name)
    (root / "license.txt").write_text("as downloaded")


def write_goods(root, name):
    write_folders(root, name, image="001_{:03}.jpg", mask="001_{:03}.png")


def write_btad(root, name):
    ending = {"01": ".bmp", "03": ".bmp"}.get(name, ".png")
    write_folders(root, name, good="ok", defects=("ko",), image="{:04}" + ending, mask="{:04}.png")
    if name == "03":
        for path in (root / name / "ground_truth" / "ko").glob("*.png"):
            Image.open(path).save(path.with_suffix(".bmp"))
            path.unlink()


def write_loco(root, name):
    write_folders(root, name, defects=("logical_anomalies", "structural_anomalies"), mask="{:03}/000.png")
    mark(root / name / "ground_truth" / "logical_anomalies" / "000" / "001.png", rows=slice(40, 50), value=1)
    draw(root / name / "validation" / "good" / "000.png")
    (root / name / "defects_config.json").write_text('[{"defect_name": "missing", "pixel_value": 255}]')


def write_mvtec2(root, name):
    folder, public = root / name, root / name / "test_public"
    for part, count in (("train/good", TRAIN), ("validation/good", VALIDATION), ("test_private", PRIVATE)):
        for number in range(count):
            draw(folder / part / f"{number:03}_regular.png")
    for number in range(PRIVATE):
        draw(folder / "test_private_mixed" / f"{number:03}_mixed.png")
    for number, light in enumerate(("regular", "overexposed")):
        draw(public / "good" / f"{number:03}_{light}.png")
        draw(public / "bad" / f"{number:03}_{light}.png")
        mark(public / "ground_truth" / "bad" / f"{number:03}_{light}_mask.png")


def write_mpdd(root, name):
    write_folders(root, name, defects=("hole", "scratches") if name == "bracket_black" else ("anomalous",))


def write_folder(root, name):
    write_folders(root, name)


def write_visa(root, name):
    rows = []
    for number in range(TRAIN + NORMAL):
        image = f"{name}/Data/Images/Normal/{number:04}.JPG"
        rows.append([name, "train" if number < TRAIN else "test", "normal", image, ""])
    for number in range(DEFECTIVE):
        image, mask = (f"{name}/Data/{kind}/Anomaly/{number:03}" for kind in ("Images", "Masks"))
        rows.append([name, "test", "anomaly", f"{image}.JPG", f"{mask}.png"])
        mark(root / f"{mask}.png", value=number + 1)  # VisA numbers its kinds of defect
    for row in rows:
        draw(root / row[3])
    table = root / "split_csv" / "1cls.csv"
    table.parent.mkdir(exist_ok=True)
    header = [] if table.exists() else [["object", "split", "label", "image", "mask"]]
    with table.open("a", newline="") as file:
        csv.writer(file).writerows([*header, *rows])


def write_real_iad(root, name, *, view=1, lists="realiad_jsons"):
    def entry(number, *, defect="OK", folder="OK"):
        stem = f"{folder}/S{number:04}/{name}_{number:04}_C{view}"
        draw(root / "realiad_1024" / name / f"{stem}.jpg")
        mask = None if defect == "OK" else f"{stem}.png"
        if mask:
            mark(root / "realiad_1024" / name / mask)
        return {"category": name, "anomaly_class": defect, "image_path": f"{stem}.jpg", "mask_path": mask}

    train = [entry(number) for number in range(TRAIN)]
    # the second good image is a view of a defective object that does not show the defect
    good = [entry(TRAIN), *(entry(10 + n, folder="NG/AK") for n in range(NORMAL - 1))]
    defective = [entry(20 + number, defect="AK", folder="NG/AK") for number in range(DEFECTIVE)]
    content = {"meta": {"prefix": f"{name}/", "normal_class": "OK"}, "train": train, "test": [*good, *defective]}
    write_json(root / lists / f"{name}.json", content)


def write_real_iad_single(root, name):
    write_real_iad(root, name, view=2)  # images of the other views lie in the same folders
    write_real_iad(root, name, lists="realiad_jsons_sv")


def write(root, layout):
    for name in CATEGORIES[layout]:
        globals()[f"write_{layout.replace('-', '_')}"](root, name)
    return root


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """All benchmarks, one folder each; read only."""
    folder = tmp_path_factory.mktemp("shelf")
    for layout in CATEGORIES:
        write(folder / layout, layout)
    return folder


@pytest.fixture
def copy(shelf, tmp_path):
    """Copy a benchmark for a test to break."""
    return lambda layout: shutil.copytree(shelf / layout, tmp_path / layout)


def message(root, layout, **kwargs):
    with pytest.raises(InputError) as caught:
        open_benchmark(root, layout=layout, **kwargs)
    return str(caught.value)


def test_every_layout_is_written_here():
    assert set(CATEGORIES) == set(LAYOUTS)


@pytest.mark.parametrize("layout", CATEGORIES)
def test_counts_labels_and_masks(shelf, layout):
    benchmark = open_benchmark(shelf / layout, layout=layout)
    assert [category.name for category in benchmark.categories] == list(CATEGORIES[layout])
    for category in benchmark.categories:
        assert len(set(category.train_good)) == TRAIN
        assert [sample.label for sample in category.test].count(True) == DEFECTIVE
        assert [sample.label for sample in category.test].count(False) == NORMAL
        assert len({sample.path for sample in category.test} - set(category.train_good)) == NORMAL + DEFECTIVE
        for sample in category.test:
            assert sample.path.is_relative_to(shelf / layout)
            assert (sample.defect == "good") != sample.label
            image, mask = load_sample(sample, SIZE)
            assert image.shape == (3, SIZE, SIZE)
            assert mask[8:24, :32].all() == sample.label
            assert not mask[50:].any()
            assert not mask[:, 32:].any()


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory):
    return save_checkpoint(model, tmp_path_factory.mktemp("checkpoint"))


@pytest.mark.parametrize("layout", CATEGORIES)
def test_the_command_evaluates_every_layout_from_end_to_end(shelf, layout, checkpoint, tmp_path):
    given = {"data": shelf / layout, "layout": layout, "checkpoint": checkpoint, "seeds": 1, "size": SIZE}
    options = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    result = CliRunner().invoke(cli.cli, ["eval", "--no-baselines", *options, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    metrics = read_json(tmp_path / "metrics.json")
    assert list(metrics["categories"]) == list(CATEGORIES[layout])
    values = [cell["mean"] for block in metrics["categories"].values() for cell in block.values()]
    assert len(values) == len(CATEGORIES[layout]) * (9 if layout == "mvtec2" else 7)
    assert all(0 <= value <= 1 for value in values)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("as published" in report) == (layout in ("mvtec", "visa", "goods"))


@pytest.mark.parametrize("layout", CATEGORIES)
def test_a_sound_benchmark_is_found_to_be_sound(shelf, layout, monkeypatch):
    if layout in CATALOGUE:
        source = CATALOGUE[layout]
        counts = dict.fromkeys(CATEGORIES[layout], Counts(TRAIN, NORMAL, DEFECTIVE, *MORE.get(layout, ())))
        monkeypatch.setitem(CATALOGUE, layout, type(source)(**{**vars(source), "categories": counts, "total": None}))
    check = check_data(layout, shelf / layout, deep=True)
    assert check.findings == []
    assert [category.findings for category in check.categories] == [[], []]
    assert [category.masks for category in check.categories] == [DEFECTIVE] * 2
    assert check.fine


@pytest.mark.parametrize("layout", [name for name in CATEGORIES if name != "folder"])
def test_categories_of_these_tests_are_real_ones(layout):
    assert set(CATEGORIES[layout]) <= set(find_source(layout).categories)


def test_validation_and_private_images_of_mvtec_ad_2_are_neither_prompts_nor_test_images(shelf):
    category = open_benchmark(shelf / "mvtec2", layout="mvtec2").categories[0]
    assert {path.parts[-3] for path in category.train_good} == {"train"}
    assert {sample.path.parts[-3] for sample in category.test} == {"test_public"}
    assert [path.name for path in category.validation] == [f"{i:03}_regular.png" for i in range(VALIDATION)]
    names = {folder: [path.name for path in paths] for folder, paths in category.unlabelled.items()}
    assert names == {
        "test_private": ["000_regular.png", "001_regular.png"],
        "test_private_mixed": ["000_mixed.png", "001_mixed.png"],
    }


@pytest.mark.parametrize("good", ["Good", "ok"])
def test_the_folder_of_validation_images_has_the_names_of_every_folder_of_normal_images(copy, good):
    root = copy("mvtec2")
    (root / "can" / "validation" / "good").rename(root / "can" / "validation" / good)
    can, _ = open_benchmark(root, layout="mvtec2").categories
    assert len(can.validation) == VALIDATION
    assert {path.parent.name for path in can.validation} == {good}


def test_missing_and_broken_validation_and_private_images_are_findings(copy, monkeypatch):
    root = copy("mvtec2")
    counts = {"can": Counts(TRAIN, NORMAL, DEFECTIVE, VALIDATION, PRIVATE)}
    monkeypatch.setitem(CATALOGUE, "mvtec2", replace(CATALOGUE["mvtec2"], categories=counts))
    shutil.rmtree(root / "sheet_metal")
    (root / "can" / "validation" / "good" / "003_regular.png").unlink()
    shutil.rmtree(root / "can" / "test_private_mixed")
    broken = root / "can" / "test_private" / "001_regular.png"
    broken.write_bytes(b"")
    (can,) = check_data("mvtec2", root).categories
    assert can.findings[0].startswith(f"{broken} cannot be read as an image")
    assert can.findings[1:] == [
        "18 validation images, expected 19",
        "0 images in test_private_mixed, expected 2",
    ]


def test_mvtec_ad_2_without_enough_validation_images_has_no_segf1(copy, model, caplog):
    root = copy("mvtec2")
    (root / "can" / "validation" / "good" / "003_regular.png").unlink()
    benchmark = open_benchmark(root, layout="mvtec2")
    settings = EvalSettings(seeds=(1,), size=SIZE)
    evaluation = evaluate(model, benchmark, settings, baselines=False)
    cells = evaluation.metrics()["categories"]
    assert math.isnan(cells["can"]["SegF1"]["mean"])
    assert 0 <= cells["sheet_metal"]["SegF1"]["mean"] <= 1
    assert evaluation.averaged_over()["SegF1"] == 1
    assert "no SegF1 is computed: category 'can', folder validation: a false-positive rate of 0.05 needs 19 " in (
        caplog.text
    )


def test_the_lists_of_a_single_view_leave_out_the_others(shelf):
    root = shelf / "real-iad-single"
    assert len(list((root / "realiad_1024" / "usb").rglob("*_C2.jpg"))) == TRAIN + NORMAL + DEFECTIVE
    for layout, view in (("real-iad", "_C2"), ("real-iad-single", "_C1")):
        (usb,) = open_benchmark(root, layout=layout, categories=["usb"]).categories
        assert {path.stem[-3:] for path in [*usb.train_good, *(sample.path for sample in usb.test)]} == {view}
    assert "realiad_jsons_sv holds no list" in message(shelf / "real-iad", "real-iad-single")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
def test_a_name_that_a_report_cannot_hold_is_a_problem(copy):
    """As after unpacking an archive of Windows, whose names are in another encoding."""
    root = copy("folder")
    image = root / CATEGORIES["folder"][0] / "test" / "good" / "000.png"
    image.rename(image.with_name(os.fsdecode(b"K\xf6rper.png")))
    assert r"K\xf6rper.png' is not UTF-8; rename the file" in message(root, "folder")


def test_several_masks_of_one_image_are_united(shelf):
    category = open_benchmark(shelf / "loco", layout="loco", categories=["pushpins"]).categories[0]
    logical = next(sample for sample in category.test if sample.defect == "logical_anomalies")
    assert [path.name for path in mask_files(logical)] == ["000.png", "001.png"]
    expected = np.zeros((SIZE, SIZE), dtype=bool)
    expected[8:24, :32] = expected[40:50, :32] = True
    np.testing.assert_array_equal(load_sample(logical, SIZE)[1], expected)
    assert load_sample(logical, 32)[1].dtype == bool


def test_normal_images_for_validation_are_no_prompts(shelf):
    category = open_benchmark(shelf / "loco", layout="loco").categories[0]
    assert not any("validation" in path.parts for path in category.train_good)


def test_a_folder_of_masks_must_hold_one(copy):
    root = copy("loco")
    folder = root / "pushpins" / "ground_truth" / "structural_anomalies" / "001"
    (folder / "000.png").unlink()
    assert f"{folder} holds no mask" in message(root, "loco")


def test_masks_that_vanish_after_the_check_are_no_empty_masks(copy):
    root = copy("loco")
    sample = open_benchmark(root, layout="loco").categories[0].test[-1]
    for path in mask_files(sample):
        path.unlink()
    with pytest.raises(InputError, match="holds no mask any more"):
        load_sample(sample, SIZE)


def test_a_view_that_does_not_show_the_defect_is_normal(shelf):
    category = open_benchmark(shelf / "real-iad", layout="real-iad").categories[0]
    hidden = [sample for sample in category.test if "NG" in sample.path.parts and not sample.label]
    assert len(hidden) == 1
    assert {sample.defect for sample in category.test if sample.label} == {"pit"}


@pytest.mark.parametrize("name", ["realiad_512", "realiad_256"])
def test_real_iad_in_other_sizes_and_with_a_folder_more(copy, name):
    root = copy("real-iad")
    (root / "realiad_1024").rename(root / name)
    (root / "realiad_jsons").rename(root / "inner")
    (root / "realiad_jsons").mkdir()
    (root / "inner").rename(root / "realiad_jsons" / "realiad_jsons")
    benchmark = open_benchmark(root, layout="real-iad")
    assert benchmark.categories[0].train_good[0].is_relative_to(root / name)


@pytest.mark.parametrize(
    ("layout", "seen"), [("visa", "visa"), ("real-iad", "real-iad"), ("btad", "btad"), ("mvtec2", "mvtec2")]
)
def test_a_root_in_another_layout_is_recognised(shelf, layout, seen):
    assert f"it looks like the layout {seen!r}" in message(shelf / layout, "mvtec")


@pytest.mark.parametrize("layout", ["visa", "real-iad", "btad", "mvtec2"])
def test_mvtec_is_not_taken_for_another(shelf, layout):
    assert "it looks like the layout 'mvtec'" in message(shelf / "mvtec", layout)


# your own folder


def test_a_single_category_is_a_benchmark_too(shelf):
    benchmark = open_benchmark(shelf / "folder" / "mine", layout="folder")
    assert [category.name for category in benchmark.categories] == ["mine"]
    assert len(benchmark.categories[0].test) == NORMAL + DEFECTIVE


def test_without_masks_the_pixel_metrics_are_undefined_and_not_zero(copy, model, tmp_path):
    root = copy("folder")
    shutil.rmtree(root / "mine" / "ground_truth")
    benchmark = open_benchmark(root, layout="folder")
    metrics = evaluate(model, benchmark, EvalSettings(seeds=(1, 3), size=SIZE), baselines=False).metrics()
    mine, yours = (metrics["categories"][name] for name in ("mine", "yours"))
    for metric, cell in mine.items():
        assert math.isnan(cell["mean"]) == (not metric.startswith("I-")), metric
    assert metrics["mean"]["AUPRO"]["mean"] == pytest.approx(yours["AUPRO"]["mean"])
    assert (
        json.loads(write_json(tmp_path / "m.json", metrics).read_text())["categories"]["mine"]["P-AP"]["mean"] is None
    )


def test_without_anomalies_no_metric_is_defined(copy, model):
    root = copy("folder")
    for category in CATEGORIES["folder"]:
        for defect in ("crack", "hole"):
            shutil.rmtree(root / category / "test" / defect)
    benchmark = open_benchmark(root, layout="folder")
    metrics = evaluate(model, benchmark, EvalSettings(seeds=(1,), size=SIZE), baselines=False).metrics()
    assert all(math.isnan(cell["mean"]) for cell in metrics["mean"].values())


def test_half_of_the_masks_are_refused(copy):
    root = copy("folder")
    mask = root / "mine" / "ground_truth" / "crack" / "000_mask.png"
    mask.unlink()
    assert f"{root}/mine/test/crack/000.png has no mask; expected {mask}" in message(root, "folder")


def test_a_mask_of_another_size_but_the_same_shape_is_resized(copy):
    root = copy("folder")
    path = root / "mine" / "ground_truth" / "crack" / "000_mask.png"
    Image.open(path).resize((32, 32), Image.Resampling.NEAREST).save(path)
    sample = open_benchmark(root, layout="folder").categories[0].test[0]
    assert load_sample(sample, SIZE)[1][8:24, :32].all()
    Image.open(path).resize((32, 16), Image.Resampling.NEAREST).save(path)
    assert f"{path} is 32×16 pixels" in message(root, "folder")


# lists that strangers wrote


def edit_table(root, old, new):
    table = root / "split_csv" / "1cls.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))
    return table


FIRST = "candle/Data/Images/Normal/0000.JPG"


@pytest.mark.parametrize(
    "path", ["../secret.JPG", "candle/../../x.JPG", "/etc/passwd", r"C:\x.JPG", r"a\..\..\x.JPG", ""]
)
def test_visa_paths_cannot_leave_the_root(copy, path):
    root = copy("visa")
    table = edit_table(root, FIRST, path)
    assert f"{table} line 2: path {path!r} leads out of {root}" in message(root, "visa")


def test_a_visa_path_that_no_file_can_have_is_one_that_is_missing(copy):
    root = copy("visa")
    name = f"candle/{'a' * 300}.png"
    edit_table(root, FIRST, name)
    assert f"{root / name} is missing" in message(root, "visa")


@pytest.mark.parametrize("path", ["../../secret.png", "/etc/passwd"])
def test_visa_mask_paths_cannot_either(copy, path):
    root = copy("visa")
    edit_table(root, "candle/Data/Masks/Anomaly/001.png", path)
    assert f"path {path!r} leads out of {root}" in message(root, "visa")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("object,split", "thing,split", "lacks the column object"),
        ("candle,train", "candle,trian", "line 2: split 'trian' is not known, did you mean 'train'"),
        ("train,normal", "train,norml", "line 2: label 'norml' is not known, did you mean 'normal'"),
        ("candle,train", "../candle,train", "line 2: object '../candle' is no name of a folder"),
        (f"{FIRST},", FIRST, "line 2 does not have 5 cells"),
        (f"{FIRST},", f"{FIRST},,,", "line 2 does not have 5 cells"),
        (f"{FIRST},", f'"{FIRST},', "is not valid CSV"),
        ("train,normal", "train,anomaly", "line 2: .* is a training image with a defect"),
        ("0001.JPG", "0000.JPG", "line 3 names .*0000.JPG again, first .* line 2"),
        ("candle/Data/Masks/Anomaly/000.png", "", "has no mask"),
    ],
)
def test_a_wrong_line_of_visa_is_named(copy, old, new, expected):
    root = copy("visa")
    edit_table(root, old, new)
    with pytest.raises(InputError, match=expected):
        open_benchmark(root, layout="visa")


def test_the_encoding_of_the_list_is_named_or_understood(copy):
    root = copy("visa")
    table = root / "split_csv" / "1cls.csv"
    text = table.read_text()
    table.write_text(text, encoding="utf-8-sig")  # as spreadsheets save it
    assert len(open_benchmark(root, layout="visa").categories) == 2
    table.write_bytes(text.replace("candle", "käse").encode("latin-1"))
    assert f"{table} is not UTF-8 text" in message(root, "visa")


def test_missing_files_are_named_and_counted(copy):
    root = copy("visa")
    for path in (root / "candle" / "Data" / "Images").rglob("*.JPG"):
        path.unlink()
    (root / "pcb1" / "Data" / "Masks" / "Anomaly" / "001.png").unlink()
    text = message(root, "visa")
    assert text.count(" is missing") == TRAIN + NORMAL + DEFECTIVE + 1
    assert f"{root / FIRST} is missing" in text


def test_only_the_categories_asked_for_are_checked(copy):
    root = copy("visa")
    shutil.rmtree(root / "candle")
    assert [category.name for category in open_benchmark(root, layout="visa", categories=["pcb1"]).categories] == [
        "pcb1"
    ]
    assert "category 'pcb' is not there, did you mean 'pcb1'" in message(root, "visa", categories=["pcb"])


def test_a_list_of_nothing(copy):
    root = copy("visa")
    table = root / "split_csv" / "1cls.csv"
    table.write_text("object,split,label,image,mask\n")
    assert "lists no image" in message(root, "visa")
    table.unlink()
    assert f"file {table} does not exist" in message(root, "visa")


def edit_list(root, change):
    path = root / "realiad_jsons" / "usb.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c["test"][0].update(image_path="../../../x.jpg"), r"test\[0\]: path 'usb/../../../x.jpg' leads out"),
        (lambda c: c["meta"].update(prefix="/etc/"), r"train\[0\]: path '/etc/OK"),
        (lambda c: c["test"][-1].update(mask_path="../../x.png"), "path 'usb/../../x.png' leads out"),
        (lambda c: c["test"][-1].update(mask_path=None), "has no mask"),
        (lambda c: c["train"].append(c["train"][0]), r"train\[3\] names .* again, first .*train\[0\]"),
        (lambda c: c["test"].append(c["train"][0]), r"test\[4\] names .* again, first .*train\[0\]"),
        (lambda c: c["train"][1].update(category="toy"), r"train\[1\] is of category 'toy', in the list of 'usb'"),
        (lambda c: c["train"][1].update(anomaly_class="AK"), "is a training image with a defect"),
        (lambda c: c["train"].clear(), "category 'usb' has no training image"),
        (lambda c: c["test"].clear(), "category 'usb' has no test image"),
        (lambda c: c.pop("meta"), "usb.json is no list of Real-IAD: meta: Field required"),
        (lambda c: c["train"][1].update(image_path=7), "train.1.image_path: Input should be a valid string"),
    ],
)
def test_a_wrong_entry_of_real_iad_is_named(copy, change, expected):
    root = copy("real-iad")
    edit_list(root, change)
    with pytest.raises(InputError, match=expected):
        open_benchmark(root, layout="real-iad")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"meta": ', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"1" * 5000, "is not valid JSON"),
        (b"[]", "is no list of Real-IAD"),
        ('{"meta": "ä"}'.encode("latin-1"), "is not valid JSON"),
    ],
)
def test_a_list_that_is_no_list(copy, content, expected):
    root = copy("real-iad")
    (root / "realiad_jsons" / "usb.json").write_bytes(content)
    assert f"usb.json {expected}" in message(root, "real-iad")


@pytest.mark.parametrize(
    ("part", "expected"), [("realiad_1024", "holds no images"), ("realiad_jsons", "holds no list")]
)
def test_real_iad_unpacked_by_half(copy, part, expected):
    root = copy("real-iad")
    shutil.rmtree(root / part)
    assert expected in message(root, "real-iad")

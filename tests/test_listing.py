"""Every reader of a folder or list: what it uses, what it ignores on purpose, and what it leaves out and tells."""

import ast
import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import metauas
from metauas.ablations.factors import parameter_files
from metauas.errors import InputError
from metauas.eval import read_benchmark
from metauas.files.images import IMAGE_SUFFIXES
from metauas.files.listing import files_below, files_in, find_entry, is_ignored, is_picture
from metauas.seeding import rng_for
from metauas.synthesis import CocoPictures, CywsPairs, MaskedFolder, Photographs, TextureFolder

SIZE = 32
CLUTTER = (
    "._000.png", ".DS_Store", ".ipynb_checkpoints/000.png", ".Trash-1000/files/000.png", "@eaDir/000.png", "Thumbs.db",
    "__MACOSX/._000.png", "__MACOSX/000.png", "desktop.ini", "._x.json", "._x.yaml", "$RECYCLE.BIN/000.png",
)  # fmt: skip


def draw(path):
    """Write a picture of noise that depends on its name and folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng_for(path.parent.name, path.stem).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mark(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[8:16, 8:16] = 255
    Image.fromarray(mask).save(path)


# --- the readers: each writes a folder, and reads it as (what it uses, what it leaves out)


def write_pictures(root):
    for number in range(4):
        draw(root / f"{number:03}.png")


def write_masked(root):
    for number in range(4):
        draw(root / "images" / f"{number:03}.png")
        mark(root / "masks" / f"{number:03}.png")


def write_folders(root):
    for kind, part in (("good", "train"), ("good", "test"), ("hole", "test")):
        for number in range(2):
            draw(root / "part" / part / kind / f"{number:03}.png")
    for number in range(2):
        mark(root / "part" / "ground_truth" / "hole" / f"{number:03}_mask.png")


def write_mvtec2(root):
    for part in ("train/good", "validation/good", "test_public/good", "test_public/bad", "test_private"):
        for number in range(2):
            draw(root / "part" / part / f"{number:03}_regular.png")
    for number in range(2):
        draw(root / "part" / "test_private_mixed" / f"{number:03}_mixed.png")
        mark(root / "part" / "test_public" / "ground_truth" / "bad" / f"{number:03}_regular_mask.png")


def write_visa(root, *, slash="/"):
    rows = [["object", "split", "label", "image", "mask"]]
    for number, (split, label) in enumerate((("train", "normal"), ("test", "normal"), ("test", "anomaly"))):
        name, mask = f"part/Data/Images/{number:03}.png", f"part/Data/Masks/{number:03}.png"
        draw(root / name)
        if label == "anomaly":
            mark(root / mask)
        cells = [name, mask if label == "anomaly" else ""]
        rows.append(["part", split, label, *(cell.replace("/", slash) for cell in cells)])
    (root / "split_csv").mkdir()
    with (root / "split_csv" / "1cls.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_real_iad(root, *, slash="/"):
    entries = []
    for number, kind in enumerate(("OK", "OK", "AK")):
        name, mask = f"{kind}/{number:03}.png", f"{kind}/{number:03}_mask.png"
        draw(root / "realiad_1024" / "part" / name)
        if kind != "OK":
            mark(root / "realiad_1024" / "part" / mask)
        paths = {
            "image_path": name.replace("/", slash),
            "mask_path": mask.replace("/", slash) if kind != "OK" else None,
        }
        entries.append({"category": "part", "anomaly_class": kind, **paths})
    meta = {"prefix": f"part{slash}", "normal_class": "OK"}
    (root / "realiad_jsons").mkdir()
    (root / "realiad_jsons" / "part.json").write_text(
        json.dumps({"meta": meta, "train": entries[:1], "test": entries[1:]})
    )


def write_coco(root, *, slash="/"):
    images, annotations = [], []
    for number in range(4):
        draw(root / "images" / "train" / f"{number:03}.png")
        images.append({"id": number, "file_name": f"train{slash}{number:03}.png", "height": SIZE, "width": SIZE})
        box = [[8, 8, 16, 8, 16, 16, 8, 16]]
        annotations.append({"id": number, "image_id": number, "iscrowd": 0, "segmentation": box})
    (root / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))


def write_cyws(root):
    box = {"segmentation": [[8, 8, 16, 8, 16, 16, 8, 16]], "bbox": [8, 8, 8, 8]}
    for number in range(2):
        draw(root / "images_and_masks" / f"{number}.png")
        draw(root / "inpainted" / f"{number}_mask1.png")
        (root / "metadata").mkdir(exist_ok=True)
        np.save(root / "metadata" / f"{number}.npy", np.array([box], dtype=object), allow_pickle=True)
    np.save(root / "list_of_indices.npy", np.arange(2))


def write_parameters(root):
    for name in ("a.yaml", "b.yml"):
        (root / name).write_text("size: 32\n")


def read_layout(layout):
    def read(root):
        benchmark = read_benchmark(root, layout=layout)
        (category,) = benchmark.categories
        masks = [sample.mask_path for sample in category.test if sample.mask_path]
        unlabelled = [path for paths in category.unlabelled.values() for path in paths]
        test = [sample.path for sample in category.test]
        return [*category.train_good, *test, *masks, *category.validation, *unlabelled], benchmark.left_out

    return read


def read_photographs(root):
    found = Photographs.from_folder(root)
    return list(found.names), found.left_out


def read_textures(root):
    found = TextureFolder(root, split="all")
    return list(found.files), found.left_out


def read_masked(root):
    found = MaskedFolder(root / "images", root / "masks", split="all")
    return [(file, found._masks[file.stem]) for file in found.files], found.left_out


def read_coco(root):
    found = CocoPictures(root / "instances.json", root / "images", split="all")
    return list(found.index.names), found.index.left_out


def read_cyws(root):
    found = CywsPairs(root, split="test")
    return [(number, found.views[number]) for number in found.ids], ()


READERS = {
    "photographs": (write_pictures, read_photographs),
    "textures": (write_pictures, read_textures),
    "masked": (write_masked, read_masked),
    "folder": (write_folders, read_layout("folder")),
    "mvtec": (write_folders, read_layout("mvtec")),
    "mvtec2": (write_mvtec2, read_layout("mvtec2")),
    "visa": (write_visa, read_layout("visa")),
    "real-iad": (write_real_iad, read_layout("real-iad")),
    "coco": (write_coco, read_coco),
    "cyws": (write_cyws, read_cyws),
    "parameters": (write_parameters, lambda root: (parameter_files(root), ())),
}
#: Those that list folders of pictures, which may have any suffix.
OF_FOLDERS = ("photographs", "textures", "masked", "folder", "mvtec", "mvtec2")
#: Those that tell what they leave out of a folder.
TELLING = (*OF_FOLDERS, "visa", "real-iad")
#: Those of lists with paths in them.
OF_LISTS = ("visa", "real-iad", "coco")


@pytest.mark.parametrize("reader", READERS)
def test_hidden_files_and_those_of_systems_change_nothing(tmp_path, caplog, reader):
    write, read = READERS[reader]
    write(tmp_path)
    before = read(tmp_path)
    picture = draw(tmp_path.parent / "a.png").read_bytes()
    for folder in [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]:
        for name in CLUTTER:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(picture if name.endswith("/000.png") else b"\0\5\26\7")
    assert read(tmp_path) == before
    assert before[1] == ()
    assert not caplog.records


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".ppm", ".PGM", ".webp", ".TIF", ".PNG", ".Jpeg", ".gif", ".bmp"])
@pytest.mark.parametrize("reader", OF_FOLDERS)
def test_pictures_are_found_under_every_suffix_in_any_case(tmp_path, reader, suffix):
    write, read = READERS[reader]
    write(tmp_path)
    count = len(read(tmp_path)[0])
    for path in [*tmp_path.rglob("*.png")]:
        image = Image.open(path)
        path.unlink()
        image.convert("L").save(path.with_suffix(suffix), **({"quality": 95} if suffix == ".webp" else {}))
    used, left_out = read(tmp_path)
    assert len(used) == count
    assert left_out == ()


@pytest.mark.parametrize("reader", TELLING)
def test_a_picture_that_is_not_read_is_left_out_and_told(tmp_path, caplog, reader):
    write, read = READERS[reader]
    write(tmp_path)
    used, _ = read(tmp_path)
    folder = sorted(tmp_path.rglob("000*.png"))[0].parent
    Image.open(draw(tmp_path.parent / "a.png")).save(folder / "photograph.jp2")
    (folder / "notes.txt").write_text("about")
    again, left_out = read(tmp_path)
    assert again == used
    assert [item.path for item in left_out] == [folder / "photograph.jp2"]
    assert "that is not read; save it as PNG" in left_out[0].reason
    assert "pictures left out: 1, such as" in caplog.text
    assert "photograph.jp2" in caplog.text


@pytest.mark.parametrize("reader", [name for name in TELLING if name != "textures"])
def test_pictures_one_folder_deeper_are_left_out_and_told(tmp_path, caplog, reader):
    write, read = READERS[reader]
    write(tmp_path)
    used, _ = read(tmp_path)
    folder = sorted(tmp_path.rglob("000*.png"))[0].parent
    deeper = draw(folder / "more" / "100.png")
    again, left_out = read(tmp_path)
    assert again == used
    assert [item.path for item in left_out] == [deeper]
    assert "pictures left out: 1," in caplog.text


@pytest.mark.parametrize("reader", OF_LISTS)
def test_lists_that_were_written_on_windows_are_read(tmp_path, reader):
    write, read = READERS[reader]
    write(tmp_path / "here")
    write(tmp_path / "there", slash="\\")
    here, there = (read(tmp_path / name)[0] for name in ("here", "there"))
    assert [str(path).replace(str(tmp_path / "there"), str(tmp_path / "here")) for path in there] == list(
        map(str, here)
    )


#: Modules that look into folders by themselves, and what they find there: files of their own, or of the suite.
OWN_FILES = {
    "ablations/results/collect.py": "metrics of runs, without ignored folders",
    "ablations/plan.py": "modules of the package",
    "ablations/results/page.py": "notebooks of a run",
    "eval/benchmarks/layouts/__init__.py": "marks of a layout, for a hint",
    "eval/report/paper.py": "names of categories, for the paper's results",
    "eval/miniature/write.py": "whether a folder is empty",
    "files/__init__.py": "a hash of all files",
    "files/locks.py": "unfinished files",
    "ablations/notebooks.py": "numbered notebooks",
    "released/__init__.py": "weights in the package",
    "synthesis/written/reading.py": "shards",
    "synthesis/written/shards.py": "shards",
    "train/validation.py": "maps of a run",
    "train/loop.py": "checkpoints of a run",
}


def test_folders_are_listed_in_one_place():
    """A reader of folders uses ``metauas.files.listing``, and stands in the table above."""
    package = Path(metauas.__file__).parent
    listing = {"iterdir", "glob", "rglob", "walk", "scandir", "listdir"}
    found = set()
    for path in package.rglob("*.py"):
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        if any(isinstance(call, ast.Attribute) and call.attr in listing for call in calls):
            found.add(path.relative_to(package).as_posix())
    assert found - {"files/listing.py"} <= set(OWN_FILES)


# --- the listing itself


@pytest.mark.parametrize(
    "name", ["._a.png", ".DS_Store", "Thumbs.db", "thumbs.db", "Desktop.ini", "@eaDir", "__MACOSX"]
)
def test_names_that_are_ignored(name):
    assert is_ignored(name)
    assert not is_ignored(name.strip("._@") + "s")


def test_files_come_sorted_and_folders_are_no_files(tmp_path):
    for name in ("b.PNG", "a.png", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.png").mkdir()
    assert [file.name for file in files_in(tmp_path, suffixes=IMAGE_SUFFIXES)] == ["a.png", "b.PNG"]
    assert [file.name for file in files_below(tmp_path)] == ["a.png", "b.PNG", "c.txt"]


def test_an_entry_is_found_in_any_case_and_two_are_told(tmp_path):
    (tmp_path / "Train").mkdir()
    assert find_entry(tmp_path, "train") == tmp_path / "Train"
    assert find_entry(tmp_path, "test") is None
    assert find_entry(tmp_path / "gone", "test") is None
    (tmp_path / "TRAIN").mkdir()
    with pytest.raises(InputError, match="holds TRAIN and Train, which differ in case alone"):
        find_entry(tmp_path, "train")
    (tmp_path / "train").mkdir()
    assert find_entry(tmp_path, "train") == tmp_path / "train"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000"])
def test_pictures_are_known_by_their_content(tmp_path, form):
    Image.new("RGB", (4, 4)).save(tmp_path / "a", format=form)
    assert is_picture(tmp_path / "a")


def test_other_files_are_no_pictures_but_those_called_so_are(tmp_path):
    for name, content in (("a.txt", b"BMW"), ("b", b""), ("c.json", b"{}")):
        (tmp_path / name).write_bytes(content)
    assert [is_picture(tmp_path / name) for name in ("b", "c.json")] == [False, False]
    (tmp_path / "broken.png").write_bytes(b"")
    assert is_picture(tmp_path / "broken.png")


# --- folders of objects and textures


def test_two_photographs_of_one_stem_are_told(tmp_path):
    write_masked(tmp_path)
    draw(tmp_path / "images" / "000.bmp")
    with pytest.raises(InputError, match=r"000\.bmp and 000\.png have the same stem; keep one"):
        read_masked(tmp_path)


def test_photographs_and_masks_without_the_other_are_left_out(tmp_path):
    write_masked(tmp_path)
    draw(tmp_path / "images" / "100.png")
    mark(tmp_path / "masks" / "200.png")
    _, left_out = read_masked(tmp_path)
    assert [(item.path.name, item.reason) for item in left_out] == [
        ("100.png", "has no mask of its stem"),
        ("200.png", "is a mask without an image"),
    ]


# --- names of folders of a benchmark


@pytest.mark.parametrize("name", ["Good", "GOOD", "ok", "OK", "normal"])
def test_the_folder_of_normal_images_may_be_called_so(tmp_path, name):
    write_folders(tmp_path)
    shutil.move(tmp_path / "part" / "test" / "good", tmp_path / "part" / "test" / name)
    for layout in ("folder", "mvtec"):
        (category,) = read_benchmark(tmp_path, layout=layout).categories
        assert sorted({(sample.defect, sample.label) for sample in category.test}) == [("good", False), ("hole", True)]
        assert category.notes == (
            f"{tmp_path}/part/test/{name} is read as the folder of normal images, as good would be",
        )
    shutil.move(tmp_path / "part" / "train" / "good", tmp_path / "part" / "train" / name)
    assert len(read_benchmark(tmp_path, layout="folder").categories[0].train_good) == 2


@pytest.mark.parametrize("name", ["Train", "TEST", "Ground_Truth"])
def test_parts_of_a_category_may_be_written_in_any_case(tmp_path, name):
    write_folders(tmp_path)
    before = [sample.label for sample in read_benchmark(tmp_path, layout="mvtec").categories[0].test]
    shutil.move(tmp_path / "part" / name.lower(), tmp_path / "part" / name)
    after = read_benchmark(tmp_path, layout="mvtec").categories[0].test
    assert [sample.label for sample in after] == before
    assert all(sample.mask_path for sample in after if sample.label)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ok", "holds good and ok, which are all names of the folder of normal images; keep one"),
        ("goood", "goood would be a folder of defects, did you mean 'good'"),
        ("Goods", "Goods would be a folder of defects, did you mean 'good'"),
        ("normals", "normals would be a folder of defects, did you mean 'normal'"),
    ],
)
def test_a_second_folder_of_normal_images_is_told(tmp_path, name, message):
    write_folders(tmp_path)
    draw(tmp_path / "part" / "test" / name / "000.png")
    with pytest.raises(InputError, match=message):
        read_benchmark(tmp_path, layout="folder")


@pytest.mark.parametrize("name", ["abnormal", "nok", "not_good", "food"])
def test_names_of_defects_are_not_taken_for_good_ones(tmp_path, name):
    write_folders(tmp_path)
    for part in ("test", "ground_truth"):
        shutil.move(tmp_path / "part" / part / "hole", tmp_path / "part" / part / name)
    assert {sample.defect for sample in read_benchmark(tmp_path, layout="folder").categories[0].test} == {"good", name}


@pytest.mark.parametrize("name", ["groundtruth", "ground-truth", "grund_truth"])
def test_a_folder_of_masks_that_is_misspelt_is_told(tmp_path, name):
    write_folders(tmp_path)
    shutil.move(tmp_path / "part" / "ground_truth", tmp_path / "part" / name)
    with pytest.raises(
        InputError, match=f"holds no mask of the 2 defective images, did you mean '{name}'.*; rename it"
    ):
        read_benchmark(tmp_path, layout="folder")


def test_without_a_folder_of_good_images_it_is_told_that_all_are_defects(tmp_path, caplog):
    write_folders(tmp_path)
    shutil.move(tmp_path / "part" / "test" / "good", tmp_path / "part" / "test" / "fine")
    shutil.rmtree(tmp_path / "part" / "ground_truth")
    read_benchmark(tmp_path, layout="folder")
    assert "part: no folder of good test images; all are counted as defects: fine, hole" in caplog.text


def test_two_pictures_that_share_a_mask_and_two_masks_of_a_picture_are_told(tmp_path):
    write_folders(tmp_path)
    draw(tmp_path / "part" / "test" / "hole" / "000.bmp")
    with pytest.raises(InputError, match=r"000\.bmp and 000\.png share the mask .*000_mask\.png; keep one"):
        read_benchmark(tmp_path, layout="folder")
    (tmp_path / "part" / "test" / "hole" / "000.bmp").unlink()
    mark(tmp_path / "part" / "ground_truth" / "hole" / "000_mask.bmp")
    with pytest.raises(InputError, match=r"000_mask\.bmp and 000_mask\.png are two masks of one image; keep one"):
        read_benchmark(tmp_path, layout="folder")


def test_pictures_in_the_folder_of_no_category_are_left_out_but_results_are_not(tmp_path):
    write_folders(tmp_path)
    stray = draw(tmp_path / "other" / "000.png")
    draw(tmp_path / "out" / "map.png")
    (tmp_path / "out" / "metrics.json").write_text("{}")
    left_out = read_benchmark(tmp_path, layout="folder").left_out
    assert [(item.path, item.reason) for item in left_out] == [(stray, "is in the folder of no category")]
    assert read_benchmark(tmp_path, ["part"], layout="folder").left_out == ()
    shutil.move(tmp_path / "out", tmp_path / "part" / "out")
    assert read_benchmark(tmp_path / "part", layout="folder").left_out == ()


def test_empty_masks_of_normal_images_are_ignored_and_others_are_not(tmp_path):
    write_folders(tmp_path)
    folder = tmp_path / "part" / "ground_truth" / "good"
    folder.mkdir()
    for number in range(2):
        Image.new("L", (SIZE, SIZE)).save(folder / f"{number:03}_mask.png")
    assert read_benchmark(tmp_path, layout="folder").left_out == ()
    mark(folder / "001_mask.png")
    (item,) = read_benchmark(tmp_path, layout="folder").left_out
    assert str(item) == f"{folder}/001_mask.png marks something in a normal image, which has no mask"


def test_words_of_lists_are_read_in_any_case(tmp_path):
    for layout, write, name in (
        ("visa", write_visa, "split_csv/1cls.csv"),
        ("real-iad", write_real_iad, "*/part.json"),
    ):
        root = tmp_path / layout
        root.mkdir()
        write(root)
        (path,) = root.glob(name)
        text = path.read_text()
        for word in ("train", "normal", "anomaly"):
            text = text.replace(f",{word}", f", {word.title()}")
        path.write_text(text.replace('"OK"', '"ok"', 1), encoding="utf-8-sig")
        (category,) = read_benchmark(root, layout=layout).categories
        assert [sample.label for sample in category.test] == [False, True]

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from metauas.errors import InputError
from metauas.eval import find_dataset
from metauas.eval.benchmarks.layouts import LAYOUTS, load_sample, read_benchmark, read_mvtec
from metauas.files.images import write_png

SHAPE = (12, 16)


def write_picture(path, shape=SHAPE):
    return write_png(path, np.full((*shape, 3), 128, dtype=np.uint8))


def write_mask(path, shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    mask[2:5, 3:9] = True
    return write_png(path, mask)


@pytest.fixture
def root(tmp_path):
    """Two categories with two normal images, one good and two defective test images each."""
    root = tmp_path / "tiny"
    for category, defect in (("bottle", "crack"), ("cable", "bent")):
        for name in ("000.png", "001.png"):
            write_picture(root / category / "train" / "good" / name)
            write_picture(root / category / "test" / defect / name)
        write_picture(root / category / "test" / "good" / "000.png")
        for stem in ("000", "001"):
            write_mask(root / category / "ground_truth" / defect / f"{stem}_mask.png")
    return root


def message(root, **kwargs):
    with pytest.raises(InputError) as caught:
        read_mvtec(root, **kwargs)
    return str(caught.value)


def test_reads_categories_in_order(root):
    benchmark = read_mvtec(root)
    assert benchmark.name == "tiny"
    assert benchmark.root == root
    assert [category.name for category in benchmark.categories] == ["bottle", "cable"]
    bottle = benchmark.categories[0]
    assert bottle.train_good == [root / "bottle/train/good/000.png", root / "bottle/train/good/001.png"]
    assert [(s.defect, s.label) for s in bottle.test] == [("crack", True), ("crack", True), ("good", False)]
    assert bottle.test[1].mask_path == root / "bottle/ground_truth/crack/001_mask.png"
    assert bottle.test[2].mask_path is None


def test_categories_asked_for_come_in_that_order_and_once(root):
    names = [category.name for category in read_mvtec(root, ["cable", "bottle", "cable"]).categories]
    assert names == ["cable", "bottle"]
    assert [category.name for category in read_mvtec(root, "cable").categories] == ["cable"]


def test_other_files_and_folders_are_no_categories(root):
    (root / "licence").mkdir()
    (root / "readme.txt").write_text("about")
    (root / "bottle/test/.cache").mkdir()
    assert len(read_mvtec(root).categories) == 2


def test_mask_may_carry_the_name_of_its_image(root):
    folder = root / "bottle/ground_truth/crack"
    (folder / "000_mask.png").rename(folder / "000.png")
    assert read_mvtec(root).categories[0].test[0].mask_path == folder / "000.png"


@pytest.mark.parametrize("layout", ["mvtec", "folder"])
def test_layouts_by_name(root, layout):
    assert len(LAYOUTS[layout](root, ["cable"]).categories) == 1


def test_missing_root(tmp_path):
    assert "nowhere does not exist" in message(tmp_path / "nowhere")


def test_root_without_category(tmp_path):
    assert "holds no category; expected folders like" in message(tmp_path)


def test_category_given_as_root(root):
    assert f"is one category, not a benchmark; give its parent folder {root}" in message(root / "bottle")


def test_unknown_category_names_the_nearest(root):
    text = message(root, categories=["botle", "cable"])
    assert "category 'botle' is not there, did you mean 'bottle'?; choose from bottle, cable" in text
    assert "no category was asked for" in message(root, categories=[])


@pytest.mark.parametrize("keep_folder", [True, False])
def test_category_without_normal_images(root, keep_folder):
    shutil.rmtree(root / "cable/train/good")
    if keep_folder:
        (root / "cable/train/good").mkdir()
    assert f"{root}/cable/train/good holds no image" in message(root)
    assert len(read_mvtec(root, ["bottle"]).categories) == 1


def test_category_without_test_images(root):
    shutil.rmtree(root / "cable/test")
    assert f"{root}/cable/test does not exist" in message(root)
    (root / "cable/test").mkdir()
    assert f"{root}/cable/test holds no image" in message(root)


def test_test_image_outside_a_defect_folder(root):
    write_picture(root / "cable/test/007.png")
    assert f"{root}/cable/test/007.png is in no defect folder" in message(root)


def test_all_problems_are_in_one_message(root):
    (root / "bottle/ground_truth/crack/001_mask.png").unlink()
    write_mask(root / "cable/ground_truth/bent/000_mask.png", shape=(16, 12))
    (root / "cable/train/good/000.png").write_bytes(b"no image")
    (root / "cable/test/bent/001.png").write_bytes(b"")
    text = message(root)
    mask = f"{root}/bottle/ground_truth/crack/001_mask.png"
    assert f"{root}/bottle/test/crack/001.png has no mask; expected {mask}" in text
    assert "000_mask.png is 12×16 pixels, its image" in text
    assert "000.png 16×12; mend one" in text
    assert f"{root}/cable/train/good/000.png cannot be read as an image" in text
    assert f"{root}/cable/test/bent/001.png cannot be read as an image" in text
    assert text.count("\n  - ") == 4


def test_no_masks_at_all_are_one_problem_with_a_way_out(root):
    shutil.rmtree(root / "cable/ground_truth")
    text = message(root)
    assert f"{root}/cable/ground_truth holds no mask of the 2 defective images; add them, or use layout" in text
    assert text.count("\n  - ") == 1
    assert LAYOUTS["folder"](root).categories[1].test[0].mask_path is None


def test_a_long_list_of_problems_is_cut(root):
    for number in range(100, 130):
        write_picture(root / f"cable/test/bent/{number}.png")
    text = message(root)
    assert text.count("has no mask") == 20
    assert text.endswith("and 10 more")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_size_of_a_picture_is_that_after_its_exif_turn(root, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    folder = root / "cable/test/bent"
    (folder / "000.png").unlink()
    Image.new("RGB", SHAPE).save(folder / f"000{suffix}", exif=exif)  # Pillow's size is (width, height)
    sample = read_mvtec(root).categories[1].test[0]
    assert sample.path.suffix == suffix
    write_mask(sample.mask_path, shape=SHAPE[::-1])
    assert "is 12×16 pixels" in message(root)


def test_pixels_are_not_decoded(root):
    path = root / "cable/test/good/000.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_png(path, noise)
    path.write_bytes(path.read_bytes()[:200])  # the header stays, the pixels are cut off
    sample = read_mvtec(root).categories[1].test[-1]
    with pytest.raises(InputError, match=r"000\.png cannot be read"):
        load_sample(sample, 8)


def test_load_sample(root):
    defective, _, good = read_mvtec(root).categories[0].test
    image, mask = load_sample(defective, 8)
    assert image.shape == (3, 8, 8)
    assert image.unique().tolist() == pytest.approx([128 / 255])
    # rows 2 to 5 of 12 and columns 3 to 9 of 16, on an 8 × 8 grid, touched pixels included
    expected = np.zeros((8, 8), dtype=bool)
    expected[1:4, 1:5] = True
    np.testing.assert_array_equal(mask, expected)
    assert not load_sample(good, 8)[1].any()


def test_real_pictures():
    folder = Path(__file__).parents[3] / "shared" / "realdata" / "defects"
    if not folder.is_dir():
        pytest.skip(f"no pictures in {folder}")
    for group in sorted(folder.iterdir()):
        masked = any(group.glob("*/ground_truth"))
        for category in read_benchmark(group, layout="mvtec" if masked else "folder").categories:
            assert {sample.label for sample in category.test} == {True, False}
            if masked:
                assert all(load_sample(s, 64)[1].any() == s.label for s in category.test[:3])


def test_a_folder_that_may_not_be_entered_is_no_category(root, monkeypatch):
    """Such as ``lost+found`` where a disk is mounted."""
    (root / "lost+found").mkdir()
    is_dir = Path.is_dir

    def guarded(path, **options):
        if "lost+found" in path.parent.name:
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path, **options)

    monkeypatch.setattr(Path, "is_dir", guarded)
    benchmark = read_mvtec(root)
    assert [category.name for category in benchmark.categories] == ["bottle", "cable"]
    assert find_dataset(benchmark) == "mvtec"


def test_no_category_can_be_called_as_the_mean_over_categories_is(root):
    (root / "bottle").rename(root / "mean")
    assert "a category is called 'mean', as the mean over categories in all tables; rename" in message(root)

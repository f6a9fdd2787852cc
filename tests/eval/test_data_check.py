import shutil

import numpy as np
import pytest
from PIL import Image

from metauas.errors import InputError
from metauas.eval.catalogue import CATALOGUE, Counts, Source, find_source
from metauas.eval.data_check import check_data
from metauas.eval.data_tables import ODDITIES_SHOWN, catalogue_table, check_lines, check_table, source_lines
from metauas.images import write_png
from metauas.seeding import rng_for

SHAPE = (24, 32)
KNOWN = Counts(train=2, good=1, defective=2)

#: Images of the author's lists: training, good and defective test images.
AUTHORS_LISTS = {
    "mvtec": (15, Counts(3629, 467, 1258)),
    "visa": (12, Counts(10821 - 962 - 1200, 962, 1200)),
    "goods": (6, Counts(3137, 1328, 1659)),
    "btad": (3, Counts(1799, 451, 290)),
}


def picture(path):
    return write_png(path, rng_for(str(path)).random((*SHAPE, 3)))


def mask(path, *, shape=SHAPE, rows=slice(2, 8)):
    pixels = np.zeros(shape, dtype=bool)
    pixels[rows] = True
    return write_png(path, pixels)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Write two categories as the catalogue is told to know them."""
    root = tmp_path / "tiny"
    for name in ("bottle", "cable"):
        for stem in ("000", "001"):
            picture(root / name / "train" / "good" / f"{stem}.png")
            picture(root / name / "test" / "crack" / f"{stem}.png")
            mask(root / name / "ground_truth" / "crack" / f"{stem}_mask.png")
        picture(root / name / "test" / "good" / "000.png")
    source = Source(title="Tiny", homepage="", paper="", steps=(), categories={"bottle": KNOWN, "cable": KNOWN})
    monkeypatch.setitem(CATALOGUE, "mvtec", source)
    return root


def oddities(root, **options):
    """Return what is odd about the category bottle, the other one being sound."""
    check = check_data("mvtec", root, **options)
    bottle, cable = check.categories
    assert (check.oddities, cable.oddities) == ([], [])
    assert check.fine == (not bottle.oddities)
    return bottle.oddities


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_odd(root, deep):
    (root / "bottle" / "test" / ".thumbnails").mkdir()
    picture(root / "bottle" / "test" / ".thumbnails" / "000.png")
    assert oddities(root, deep=deep) == []
    check = check_data("mvtec", root, deep=deep)
    assert [(row.name, row.counts, row.known, row.masks) for row in check.categories] == [
        ("bottle", KNOWN, KNOWN, 2),
        ("cable", KNOWN, KNOWN, 2),
    ]
    assert list(check_lines(check)) == []


def test_counts_that_differ(root):
    (root / "bottle" / "train" / "good" / "001.png").unlink()
    picture(root / "bottle" / "test" / "good" / "001.png")
    assert oddities(root) == ["1 normal training images, known are 2", "2 good test images, known are 1"]


def test_an_image_without_a_mask(root):
    path = root / "bottle" / "ground_truth" / "crack" / "001_mask.png"
    path.unlink()
    assert oddities(root) == [f"{root}/bottle/test/crack/001.png has no mask; expected {path}"]
    assert check_data("mvtec", root).categories[0].masks == 1


def test_a_file_of_a_list_that_is_missing(tmp_path, monkeypatch):
    for number in range(4):
        picture(tmp_path / "pcb1" / f"{number}.png")
    mask(tmp_path / "pcb1" / "mask.png")
    lines = ["object,split,label,image,mask", "pcb1,train,normal,pcb1/0.png,", "pcb1,test,normal,pcb1/1.png,"]
    lines += ["pcb1,test,anomaly,pcb1/2.png,pcb1/mask.png", "pcb1,test,anomaly,pcb1/3.png,pcb1/absent.png"]
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv" / "1cls.csv").write_text("\n".join(lines))
    source = Source(title="Tiny", homepage="", paper="", steps=(), categories={"pcb1": Counts(1, 1, 2)})
    monkeypatch.setitem(CATALOGUE, "visa", source)
    (row,) = check_data("visa", tmp_path).categories
    assert row.oddities == [f"{tmp_path}/pcb1/absent.png is missing"]
    assert row.masks == 1


def test_a_mask_without_an_image_and_an_image_that_is_not_used(root):
    lonely = mask(root / "bottle" / "ground_truth" / "crack" / "007_mask.png")
    wrong = picture(root / "bottle" / "train" / "bad" / "000.png")
    assert oddities(root) == [
        f"{lonely} is a mask without an image",
        f"{wrong} is not used: it is neither a normal training image nor a test image",
    ]


@pytest.mark.parametrize(("shape", "times"), [((12, 16), "16×12"), ((32, 24), "24×32")])
def test_a_mask_of_another_size(root, shape, times):
    path = mask(root / "bottle" / "ground_truth" / "crack" / "000_mask.png", shape=shape)
    (text,) = oddities(root)
    assert text.startswith(f"{path} is {times} pixels, its image {root}/bottle/test/crack/000.png 32×24")


def test_an_empty_mask(root):
    path = mask(root / "bottle" / "ground_truth" / "crack" / "000_mask.png", rows=slice(0, 0))
    assert oddities(root) == [f"{path} is empty, but {root}/bottle/test/crack/000.png should show a defect"]


def test_files_that_are_no_images(root):
    image, broken = root / "bottle" / "train" / "good" / "000.png", root / "bottle" / "test" / "crack" / "000.png"
    image.write_bytes(b"")
    broken.write_bytes(broken.read_bytes()[:100])  # the header is there
    cut = root / "bottle" / "ground_truth" / "crack" / "001_mask.png"
    cut.write_bytes(cut.read_bytes()[:60])
    texts = oddities(root)
    assert len(texts) == 3
    assert texts[0].startswith(f"{image} cannot be read as an image")
    assert texts[1].startswith(f"{broken} is broken: ")
    assert texts[2].startswith(f"{cut} cannot be read as an image")


def test_a_jpeg_that_is_cut_off_is_found_by_decoding(root):
    old = root / "bottle" / "test" / "good" / "000.png"
    path = old.with_suffix(".jpg")
    Image.open(old).save(path)
    old.unlink()
    assert oddities(root, deep=True) == []
    path.write_bytes(path.read_bytes()[:-200])
    assert oddities(root) == []
    (text,) = oddities(root, deep=True)
    assert text.startswith(f"{path} is broken: ")


def test_missing_and_unknown_categories(root):
    (root / "bottle").rename(root / "botle")
    assert check_data("mvtec", root).oddities == [
        "missing: category bottle",
        "category botle is not one of this benchmark, did you mean 'bottle'?",
    ]


def test_totals_count_where_categories_are_not_known(root, monkeypatch):
    source = Source(
        title="Tiny",
        homepage="",
        paper="",
        steps=(),
        categories=dict.fromkeys(("bottle", "cable")),
        total=Counts(4, 3, 4),
    )
    monkeypatch.setitem(CATALOGUE, "mvtec", source)
    check = check_data("mvtec", root)
    assert check.oddities == ["2 good test images, known are 3"]
    assert not check.fine
    assert [row.oddities for row in check.categories] == [[], []]


def test_what_cannot_be_computed_is_said(root):
    shutil.rmtree(root / "bottle" / "ground_truth")
    shutil.rmtree(root / "cable" / "test" / "crack")
    bottle, cable = check_data("folder", root).categories
    assert bottle.oddities == ["no masks: the image metrics can be computed, the pixel metrics and AUPRO are undefined"]
    assert cable.oddities[0] == "no defective test image: maps can be made, but every metric is undefined"
    shutil.rmtree(root / "bottle" / "test" / "good")
    assert "no good test image: I-AUROC is undefined" in check_data("folder", root).categories[0].oddities[-1]


def test_a_benchmark_in_another_layout(root, monkeypatch):
    monkeypatch.setitem(CATALOGUE, "visa", CATALOGUE["mvtec"])
    assert check_data("visa", root, layout="mvtec").fine
    with pytest.raises(InputError, match=r"1cls.csv does not exist .*it looks like the layout 'mvtec'"):
        check_data("visa", root)


def test_names_are_checked(root):
    with pytest.raises(InputError, match="benchmark='visaa' is not known, did you mean 'visa'"):
        check_data("visaa", root)
    with pytest.raises(InputError, match="layout='mvtek' is not known, did you mean 'mvtec'"):
        check_data("mvtec", root, layout="mvtek")
    with pytest.raises(InputError, match="nowhere does not exist"):
        check_data("mvtec", root / "nowhere")


def test_the_table_shows_found_beside_known_and_the_first_oddities(root):
    for number in range(10, 20):
        mask(root / "bottle" / "ground_truth" / "crack" / f"{number}_mask.png")
    (root / "bottle" / "train" / "good" / "000.png").unlink()
    check = check_data("mvtec", root)
    columns = {column.header: list(column.cells) for column in check_table(check).columns}
    assert columns["category"] == ["bottle", "cable", "all"]
    assert columns["train"] == ["[red]1[/] of 2", "2", "3"]
    assert columns["oddities"] == ["[red]11[/]", "–", "11"]
    lines = list(check_lines(check))
    assert len(lines) == ODDITIES_SHOWN + 1
    assert lines[0] == "bottle: 1 normal training images, known are 2"
    assert lines[-1] == "bottle: and 6 more"


@pytest.mark.parametrize("name", AUTHORS_LISTS)
def test_known_counts_add_up_to_the_authors_lists(name):
    source = find_source(name)
    assert (len(source.categories), source.counts()) == AUTHORS_LISTS[name]


def test_counts_of_the_others():
    # MVTec LOCO AD: 1,568 test images in the paper; Real-IAD: 151,050 images, of which 36,465 for training
    loco, realiad = find_source("loco").counts(), find_source("real-iad").counts()
    assert (loco.good, loco.good + loco.defective) == (575, 1568)
    assert (realiad.train, realiad.train + realiad.good + realiad.defective) == (36465, 151050)
    assert len(find_source("real-iad").categories) == 30


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_source_says_where_from_and_under_which_licence(name):
    source = find_source(name)
    assert source.homepage.startswith("https://")
    text = "\n".join(source_lines(name, source))
    for part in (source.title, source.homepage, source.licence, f"metauas data check {name} FOLDER"):
        assert part in text


def test_the_catalogue_has_a_row_for_each():
    assert catalogue_table().row_count == len(CATALOGUE)
    with pytest.raises(InputError, match="did you mean 'btad'"):
        find_source("btda")

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from metauas.errors import InputError
from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts, Source, find_source
from metauas.eval.benchmarks.check import check_data
from metauas.eval.benchmarks.tables import FINDINGS_SHOWN, catalogue_table, check_lines, check_table, source_lines
from metauas.files.images import write_png
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
#: Sums that others state: of MPDD, its copy AI4Manufacturing/187 on the Hugging Face Hub.
STATED = {"mpdd": (6, Counts(888, 458 - 282, 282))}


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


def findings(root, **options):
    """Return the findings of the category bottle; the other one has none."""
    check = check_data("mvtec", root, **options)
    bottle, cable = check.categories
    assert (check.findings, cable.findings) == ([], [])
    assert check.fine == (not bottle.findings)
    return bottle.findings


@pytest.mark.parametrize("deep", [False, True])
def test_no_findings(root, deep):
    (root / "bottle" / "test" / ".thumbnails").mkdir()
    picture(root / "bottle" / "test" / ".thumbnails" / "000.png")
    assert findings(root, deep=deep) == []
    check = check_data("mvtec", root, deep=deep)
    assert [(row.name, row.counts, row.known, row.masks) for row in check.categories] == [
        ("bottle", KNOWN, KNOWN, 2),
        ("cable", KNOWN, KNOWN, 2),
    ]
    assert list(check_lines(check)) == []


def test_counts_that_differ(root):
    (root / "bottle" / "train" / "good" / "001.png").unlink()
    picture(root / "bottle" / "test" / "good" / "001.png")
    assert findings(root) == ["1 normal training images, expected 2", "2 good test images, expected 1"]


def test_an_image_without_a_mask(root):
    path = root / "bottle" / "ground_truth" / "crack" / "001_mask.png"
    path.unlink()
    assert findings(root) == [f"{root}/bottle/test/crack/001.png has no mask; expected {path}"]
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
    assert row.findings == [f"{tmp_path}/pcb1/absent.png is missing"]
    assert row.masks == 1


def test_a_mask_without_an_image_and_an_image_that_is_not_used(root):
    lonely = mask(root / "bottle" / "ground_truth" / "crack" / "007_mask.png")
    wrong = picture(root / "bottle" / "train" / "bad" / "000.png")
    assert findings(root) == [
        f"{lonely} is a mask without an image",
        f"{wrong} is not used: it is neither a normal training image nor a test image",
    ]


@pytest.mark.parametrize(("shape", "times"), [((12, 16), "16×12"), ((32, 24), "24×32")])
def test_a_mask_of_another_size(root, shape, times):
    path = mask(root / "bottle" / "ground_truth" / "crack" / "000_mask.png", shape=shape)
    (text,) = findings(root)
    assert text.startswith(f"{path} is {times} pixels, its image {root}/bottle/test/crack/000.png 32×24")


def test_an_empty_mask(root):
    path = mask(root / "bottle" / "ground_truth" / "crack" / "000_mask.png", rows=slice(0, 0))
    assert findings(root) == [f"{path} is empty, but {root}/bottle/test/crack/000.png should show a defect"]


def test_files_that_are_no_images(root):
    image, broken = root / "bottle" / "train" / "good" / "000.png", root / "bottle" / "test" / "crack" / "000.png"
    image.write_bytes(b"")
    broken.write_bytes(broken.read_bytes()[:100])  # the header is there
    cut = root / "bottle" / "ground_truth" / "crack" / "001_mask.png"
    cut.write_bytes(cut.read_bytes()[:60])
    texts = findings(root)
    assert len(texts) == 3
    assert texts[0].startswith(f"{image} cannot be read as an image")
    assert texts[1].startswith(f"{broken} is broken: ")
    assert texts[2].startswith(f"{cut} cannot be read as an image")


def test_a_jpeg_that_is_cut_off_is_found_by_decoding(root):
    old = root / "bottle" / "test" / "good" / "000.png"
    path = old.with_suffix(".jpg")
    Image.open(old).save(path)
    old.unlink()
    assert findings(root, deep=True) == []
    path.write_bytes(path.read_bytes()[:-200])
    assert findings(root) == []
    (text,) = findings(root, deep=True)
    assert text.startswith(f"{path} is broken: ")


def test_missing_and_unknown_categories(root):
    (root / "bottle").rename(root / "botle")
    assert check_data("mvtec", root).findings == [
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
    assert check.findings == ["2 good test images, expected 3"]
    assert not check.fine
    assert [row.findings for row in check.categories] == [[], []]


def test_what_cannot_be_computed_is_said(root):
    shutil.rmtree(root / "bottle" / "ground_truth")
    shutil.rmtree(root / "cable" / "test" / "crack")
    bottle, cable = check_data("folder", root).categories
    assert bottle.findings == ["no masks: the image metrics can be computed, the pixel metrics and AUPRO are undefined"]
    assert cable.findings[0] == "no defective test image: anomaly maps can be computed, but every metric is undefined"
    shutil.rmtree(root / "bottle" / "test" / "good")
    assert "no good test image: I-AUROC is undefined" in check_data("folder", root).categories[0].findings[-1]


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


def test_the_table_shows_found_beside_known_and_the_first_findings(root):
    for number in range(10, 20):
        mask(root / "bottle" / "ground_truth" / "crack" / f"{number}_mask.png")
    (root / "bottle" / "train" / "good" / "000.png").unlink()
    check = check_data("mvtec", root)
    columns = {column.header: list(column.cells) for column in check_table(check).columns}
    assert columns["category"] == ["bottle", "cable", "all"]
    assert columns["train"] == ["[red]1[/] of 2", "2", "3"]
    assert columns["findings"] == ["[red]11[/]", "–", "11"]
    lines = list(check_lines(check))
    assert len(lines) == FINDINGS_SHOWN + 1
    assert lines[0] == "bottle: 1 normal training images, expected 2"
    assert lines[-1] == "bottle: and 6 more"


@pytest.mark.parametrize("name", [*AUTHORS_LISTS, *STATED])
def test_known_counts_add_up_to_the_authors_lists_and_to_stated_sums(name):
    source = find_source(name)
    assert (len(source.categories), source.counts()) == (AUTHORS_LISTS | STATED)[name]


def test_counts_of_mvtec_ad_2():
    counts = find_source("mvtec2").counts()
    # "more than 8000 high-resolution images" of "eight" scenarios in the paper's abstract
    assert len(find_source("mvtec2").categories) == 8
    assert 8000 < sum((counts.train, counts.validation, counts.good, counts.defective, 2 * counts.unlabelled)) < 8100
    text = "\n".join(source_lines("mvtec2", find_source("mvtec2")))
    assert "302 for validation" in text
    assert "two folders of 2045 images without labels" in text


def test_unknown_counts_are_not_told_as_zero():
    source = find_source("real-iad-single")
    assert source.counts() is None
    assert next(source_lines("real-iad-single", source)).endswith("30 categories, numbers of images unknown")


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
    shown = io.StringIO()
    Console(file=shown, width=80).print(catalogue_table())
    assert "…" not in shown.getvalue()
    assert all(
        f" {name} " in shown.getvalue().replace("\n", " ") for name in CATALOGUE
    )  # whole, to be copied into a command
    with pytest.raises(InputError, match="did you mean 'btad'"):
        find_source("btda")


# --- what the readers cannot see


def masks_of(root):
    return sorted((root / "bottle" / "ground_truth" / "crack").iterdir())


def test_lossy_masks_are_told(root):
    for path in masks_of(root):
        Image.open(path).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    (text,) = findings(root)
    assert text.startswith(f"2 of 2 masks are of a lossy format or have soft edges, such as {masks_of(root)[0]}")


def test_masks_inside_out_or_white_all_over_are_told(root):
    first, second = masks_of(root)
    write_png(first, np.ones(SHAPE, bool))
    write_png(second, ~np.pad(np.ones((2, 2), bool), ((10, 12), (10, 20))))
    texts = findings(root)
    assert texts[0] == f"{first} marks 100 % of its image, everything; mark the defect or object alone"
    assert texts[1].startswith(f"{second} marks 99% of its image and its border, as if inside out")


def test_masks_in_the_alpha_channel_are_read_and_told(root):
    for path in masks_of(root):
        grey = Image.open(path)
        Image.merge("LA", (Image.new("L", grey.size, 255), grey)).save(path)
    (text,) = findings(root)
    assert text.startswith("2 of 2 masks have one colour everywhere, so that they would mark 100 % or nothing")
    assert check_data("mvtec", root).categories[0].marked == pytest.approx(0.25)


def test_a_mask_that_is_much_larger_than_the_others_is_told(root):
    for number in range(2, 8):
        picture(root / "bottle" / "test" / "crack" / f"{number:03}.png")
        mask(root / "bottle" / "ground_truth" / "crack" / f"{number:03}_mask.png", shape=(240, 320), rows=slice(0, 2))
    large = mask(root / "bottle" / "ground_truth" / "crack" / "000_mask.png", rows=slice(2, 12))
    assert (
        f"{large} marks 42% of its image, the median of its category 0.8%"
        in check_data("mvtec", root).categories[0].findings
    )


def test_numbered_masks_large_ones_and_mixed_pictures_are_noted(root):
    first, _ = masks_of(root)
    Image.fromarray(np.repeat(np.arange(24, dtype=np.uint8)[:, None] // 8, 32, axis=1)).save(first)
    write_png(root / "bottle" / "train" / "good" / "000.png", np.zeros((48, 64), np.uint8))
    check = check_data("mvtec", root)
    assert check.fine
    assert check.categories[0].notes == [
        "its pictures are of 2 sizes: 4 of 32×24, 1 of 64×48",
        "its pictures are of 2 modes: 4 of RGB, 1 of L",
        f"1 of 2 masks hold several values, such as {first}; all above 0 are marked",
        f"1 of 2 masks mark more than 50% of their images, such as {first}",
    ]
    assert [line for line in check_lines(check) if "note: its pictures are of 2 sizes" in line]


@pytest.mark.parametrize("name", ["000.png", "000.tif"])
def test_few_bits_in_16_bit_pictures_are_told(root, name):
    for path in sorted((root / "bottle").rglob("[0-9][0-9][0-9].png")):
        values = np.asarray(Image.open(path).convert("L")).astype(np.uint16) << 4
        path.unlink()
        Image.fromarray(values).save(path.with_suffix(name[-4:]))
    (text,) = findings(root)
    assert text.startswith("5 pictures have 16 bits a channel, such as ")
    assert "so that 16 of 256 greys are left" in text


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_training_images_that_are_under_test_are_told(root, suffix):
    source, target = root / "bottle/train/good/000.png", (root / "bottle/test/good/000.png").with_suffix(suffix)
    (root / "bottle/test/good/000.png").unlink()
    Image.open(source).save(target)
    expected = f"{target} is the training image {source} again; take one of them out"
    assert findings(root, deep=True) == [expected]
    target.write_bytes(source.read_bytes())
    assert findings(root) == [expected]


def test_files_that_are_not_read_are_told_by_their_content(root):
    path = root / "bottle" / "test" / "crack" / "002.jp2"
    Image.new("RGB", SHAPE).save(path)
    hidden = path.with_suffix("")
    path.rename(hidden)
    assert findings(root) == [f"{hidden} is a picture of a kind, or under a suffix, that is not read; save it as PNG"]

"""What mask files say: benchmarks' masks and masks of objects, whatever tool has saved them."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from metauas.errors import InputError
from metauas.files.images import read_mask
from metauas.files.masks import judge_mask, kind_of, read_labels
from metauas.synthesis.pictures.masked_folder import objects_of

SIZE = 96


def shape(name, *, scale=1):
    """Return a white shape on black, ``scale`` times as large."""
    image = Image.new("L", (SIZE * scale, SIZE * scale))
    draw = ImageDraw.Draw(image)
    corners = [value * scale for value in (20, 24, 50, 61)]
    {"box": draw.rectangle, "disc": draw.ellipse}.get(name, draw.rectangle)(corners, fill=255)
    if name == "scratch":
        draw.rectangle((0, 0, SIZE * scale, SIZE * scale), fill=0)
        draw.line([value * scale for value in (8, 10, 80, 45)], fill=255, width=4 * scale)
    return image


def crisp(name):
    return np.asarray(shape(name)) > 0


def as_jpeg(image, path, *, quality=95):
    image.save(path.with_suffix(".jpg"), quality=quality)
    return path.with_suffix(".jpg")


def as_once_jpeg(image, path):
    Image.open(as_jpeg(image, path, quality=75)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def as_webp(image, path):
    image.save(path.with_suffix(".webp"), quality=80)
    return path.with_suffix(".webp")


def as_png(image, path, **options):
    image.save(path.with_suffix(".png"), **options)
    return path.with_suffix(".png")


def as_tiff(image, path):
    image.save(path.with_suffix(".tif"), compression="jpeg", quality=75)
    return path.with_suffix(".tif")


def as_antialiased(name, path):
    larger = shape(name).resize((3 * SIZE, 3 * SIZE), Image.Resampling.BILINEAR)
    return as_png(larger.resize((SIZE, SIZE), Image.Resampling.BOX), path)


def with_alpha(image, path):
    white = Image.new("L", image.size, 255)
    return as_png(Image.merge("LA", (white, image)), path)


def in_colour(image, path):
    black = Image.new("L", image.size)
    return as_png(Image.merge("RGB", (image, black, black)), path)


def of_value(value):
    return lambda image, path: as_png(image.point(lambda grey: value if grey else 0), path)


#: The same shape as tools save it, and how many of its pixels may be read otherwise.
WAYS = {
    "png": (lambda name, path: as_png(shape(name), path), 0),
    "one bit": (lambda name, path: as_png(shape(name).convert("1"), path), 0),
    "of 1": (lambda name, path: of_value(1)(shape(name), path), 0),
    "of LOCO's 250": (lambda name, path: of_value(250)(shape(name), path), 0),
    "16 bits": (lambda name, path: as_png(Image.fromarray(np.asarray(shape(name)).astype(np.uint16) * 257), path), 0),
    "alpha": (lambda name, path: with_alpha(shape(name), path), 0),
    "jpeg": (lambda name, path: as_jpeg(shape(name), path), 2),
    "jpeg of half the quality": (lambda name, path: as_jpeg(shape(name), path, quality=50), 2),
    "once jpeg": (lambda name, path: as_once_jpeg(shape(name), path), 2),
    "webp": (lambda name, path: as_webp(shape(name), path), 2),
    "once webp": (lambda name, path: as_png(Image.open(as_webp(shape(name), path)).convert("L"), path), 2),
    "JPEG in TIFF": (lambda name, path: as_tiff(shape(name), path), 2),
    "antialiased": (as_antialiased, 12),
    "blurred": (lambda name, path: as_png(shape(name).filter(ImageFilter.GaussianBlur(1)), path), 12),
}
MORE_WAYS = {
    **WAYS,
    "colour": (lambda name, path: in_colour(shape(name), path), 0),
    "colour jpeg": (lambda name, path: as_jpeg(Image.open(in_colour(shape(name), path)), path), 6),
}


@pytest.mark.parametrize("name", ["box", "disc", "scratch"])
@pytest.mark.parametrize("way", MORE_WAYS)
def test_a_benchmarks_mask_marks_the_same_however_it_is_saved(tmp_path, way, name):
    save, pixels = MORE_WAYS[way]
    found = read_mask(save(name, tmp_path / "mask"))
    assert (found != crisp(name)).sum() <= pixels


@pytest.mark.parametrize("name", ["box", "disc", "scratch"])
@pytest.mark.parametrize("way", WAYS)
def test_a_mask_of_an_object_is_one_object_however_it_is_saved(tmp_path, way, name):
    save, pixels = WAYS[way]
    (found,) = objects_of(read_labels(save(name, tmp_path / "mask")))
    assert (found != crisp(name)).sum() <= pixels


def numbered(*values, thin=False):
    """Return regions of these values, apart from each other."""
    labels = np.zeros((SIZE, SIZE), np.uint16 if max(values) > 255 else np.uint8)
    for number, value in enumerate(values):
        row, column = divmod(number, 4)
        labels[4 + 22 * row : 4 + 22 * row + (2 if thin else 14), 4 + 22 * column : 18 + 22 * column] = value
    return labels


@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize(
    "values", [(1, 2), (1, 2, 3, 4, 5), (85, 170, 255), (1, 255), (40, 80, 120, 160, 200, 240), (3, 300, 1000)], ids=str
)
def test_numbers_stay_numbers(tmp_path, values, thin):
    labels = numbered(*values, thin=thin)
    Image.fromarray(labels).save(tmp_path / "mask.png")
    reading = judge_mask(tmp_path / "mask.png")
    assert reading.kind == "labels"
    assert (reading.marked == (labels > 0)).all()
    assert len(objects_of(read_labels(tmp_path / "mask.png"))) == len(values)


def test_objects_with_a_border_of_void_as_in_pascal_voc_stay_apart(tmp_path):
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for number, x in enumerate((16, 40, 70), start=1):
        cv2.circle(labels, (x, 40), 11, number, -1)
        cv2.circle(labels, (x, 40), 11, 255, 2)
    Image.fromarray(labels).save(tmp_path / "mask.png")
    assert len(objects_of(read_labels(tmp_path / "mask.png"))) == 4
    found = objects_of(read_labels(tmp_path / "mask.png", void=255), void=255)
    assert [int(mask.sum()) for mask in found] == [int((labels == number).sum()) for number in (1, 2, 3)]


def test_a_palette_of_greys_in_any_order_is_read_by_its_greys(tmp_path):
    soft = shape("disc", scale=4).resize((SIZE, SIZE), Image.Resampling.BOX)
    numbers = np.asarray(soft)
    palette = [value for number in range(256) for value in [255 - number] * 3]
    image = Image.fromarray(255 - numbers)
    image.putpalette(palette)
    image.save(tmp_path / "mask.png")
    assert (np.asarray(Image.open(tmp_path / "mask.png").convert("L")) == numbers).all()
    assert len(objects_of(read_labels(tmp_path / "mask.png"))) == 1


DOUBTFUL = {
    "inside out": (lambda path: as_png(shape("disc").point(lambda grey: 255 - grey), path), "as if inside out"),
    "white": (lambda path: as_png(Image.new("L", (SIZE, SIZE), 255), path), "marks 100 % of its image"),
    "inside out jpeg": (lambda path: as_jpeg(shape("disc").point(lambda grey: 255 - grey), path), "as if inside out"),
    "faint jpeg": (
        lambda path: as_jpeg(shape("disc").point(lambda grey: grey // 40), path),
        "lossy format and nowhere",
    ),
}


@pytest.mark.parametrize("what", DOUBTFUL)
def test_masks_of_two_readings_are_told_or_refused(tmp_path, caplog, what):
    save, message = DOUBTFUL[what]
    path = save(tmp_path / "mask")
    assert message in judge_mask(path).doubt
    read_mask(path)
    assert message in caplog.text
    with pytest.raises(InputError, match=f"mask.*{message}"):
        read_labels(path)


def test_the_same_is_told_once_a_folder(tmp_path, caplog):
    for number in range(3):
        read_mask(as_png(Image.new("L", (SIZE, SIZE), 255), tmp_path / f"{number}"))
    assert len(caplog.records) == 1


def test_numbers_without_a_background_are_doubted_as_a_benchmarks_mask(tmp_path):
    Image.fromarray(numbered(1, 2) + np.uint8(1)).save(tmp_path / "mask.png")
    assert "marks 100 %" in judge_mask(tmp_path / "mask.png").doubt
    assert len(objects_of(read_labels(tmp_path / "mask.png"))) == 3


def test_transparency_that_hides_what_colours_mark_is_doubted(tmp_path):
    hidden = shape("box").point(lambda grey: 255 - grey)
    Image.merge("LA", (shape("box"), hidden)).save(tmp_path / "mask.png")
    reading = judge_mask(tmp_path / "mask.png")
    assert "alpha channel that hides part" in reading.doubt
    assert (reading.marked == crisp("box")).all()


@pytest.mark.parametrize(
    ("values", "kind"), [((0, 0), "empty"), ((7, 7), "full"), ((0, 9), "binary"), ((1, 2), "labels")]
)
def test_small_masks_have_a_kind_too(values, kind):
    assert kind_of(np.array([values], np.uint8), lossy=False) == kind


@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_values_that_are_no_numbers_or_below_zero_mark_nothing(tmp_path, value):
    Image.fromarray(np.array([[0, value], [0, 1]], np.float32)).save(tmp_path / "mask.tif")
    assert read_mask(tmp_path / "mask.tif").tolist() == [[False, False], [False, True]]

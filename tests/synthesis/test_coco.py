import json
import pickle
import sys

import numpy as np
import pytest
from pycocotools import mask as coco

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.seeding import rng_for
from metauas.synthesis import CocoPictures, PairSynthesizer, PictureSource
from metauas.synthesis.pictures.coco_json import decode, run_lengths

SHAPE = (48, 64)


def box(left, top, width, height):
    mask = np.zeros(SHAPE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def as_polygon(mask):
    (top, left), (bottom, right) = np.argwhere(mask).min(axis=0), np.argwhere(mask).max(axis=0) + 1
    return [[int(v) for v in (left, top, right, top, right, bottom, left, bottom)]]


def as_compressed(mask):
    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(SHAPE), "counts": code["counts"].decode()}


def as_counts(mask):
    values = np.concatenate([[False], mask.ravel(order="F"), [not mask[-1, -1]]])
    edges = np.flatnonzero(np.diff(values))
    starts = np.concatenate([[0], edges])
    counts = np.diff(starts).tolist()
    return {"size": list(SHAPE), "counts": [int(c) for c in counts]}


FORMS = {"polygon": as_polygon, "compressed": as_compressed, "counts": as_counts}
SMALL, OTHER = box(8, 8, 12, 10), box(28, 24, 10, 12)


@pytest.fixture
def write(tmp_path):
    """Write a data set of images with one list of (mask or segmentation, crowd) each; return JSON and folder."""

    def write_dataset(*objects, ids=None, change=None):
        folder = tmp_path / "images"
        content = {"images": [], "annotations": []}
        for number, masks in enumerate(objects):
            image_id = ids[number] if ids else number
            pixels = np.full((*SHAPE, 3), 0.5, np.float32)
            for mask, crowd in masks:
                is_mask = isinstance(mask, np.ndarray)
                if is_mask:
                    pixels[mask] = (1.0, 0.0, 0.0)
                outline = as_compressed(mask) if is_mask else mask
                item = {"id": len(content["annotations"]), "image_id": image_id, "iscrowd": crowd}
                content["annotations"].append(item | {"segmentation": outline})
            write_png(folder / f"{number}.png", pixels)
            size = {"height": SHAPE[0], "width": SHAPE[1]}
            content["images"].append({"id": image_id, "file_name": f"{number}.png"} | size)
        if change:
            change(content)
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content))
        return path, folder

    return write_dataset


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_outline_is_read_as_the_same_mask(form):
    for mask in (SMALL, box(0, 0, 5, 48), box(50, 3, 14, 45)):
        found = decode(run_lengths({"segmentation": FORMS[form](mask)}, shape=SHAPE, left_out=[]))
        assert (found == mask).all()


def test_compressed_run_lengths_of_ragged_masks_are_read_exactly():
    for seed in range(20):
        mask = rng_for("ragged", seed).random(SHAPE) < 0.5 ** (1 + seed % 5)
        found = decode(run_lengths({"segmentation": as_compressed(mask)}, shape=SHAPE, left_out=[]))
        assert (found == mask).all()


def test_a_polygon_of_several_parts_is_one_object():
    outline = as_polygon(SMALL) + as_polygon(OTHER)
    found = decode(run_lengths({"segmentation": outline}, shape=SHAPE, left_out=[]))
    assert (found == SMALL | OTHER).all()


@pytest.mark.parametrize(
    "outline",
    [
        [],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, float("nan"), 5, 6]],
        ["a"],
        7,
        None,
        {"counts": [1]},
        {"size": list(SHAPE)},
        {"size": [1, 1], "counts": as_counts(SMALL)["counts"]},
        {"size": list(SHAPE), "counts": [5, 5]},
        {"size": list(SHAPE), "counts": [float("inf"), 8]},
        {"size": list(SHAPE), "counts": []},
        {"size": list(SHAPE), "counts": [-1, SHAPE[0] * SHAPE[1] + 1]},
        {"size": list(SHAPE), "counts": as_compressed(SMALL)["counts"][:-1]},
        {"size": list(SHAPE), "counts": "é§"},
    ],
    ids=str,
)
def test_an_outline_that_cannot_be_read_is_named(outline):
    with pytest.raises(InputError, match=r"annotation 5 of image 3 has no usable segmentation.*polygons.*64 × 48"):
        run_lengths({"id": 5, "image_id": 3, "segmentation": outline}, shape=SHAPE, left_out=[])


def test_polygons_far_outside_of_the_image_are_cut_at_its_border():
    outline = [[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]]
    assert coco.area(run_lengths({"segmentation": outline}, shape=SHAPE, left_out=[])) == SHAPE[0] * SHAPE[1]


def test_crops_show_the_annotated_objects(write):
    pictures = CocoPictures(*write([(SMALL, 0)], [(SMALL, 0), (OTHER, 0)]), split="all")
    assert isinstance(pictures, PictureSource)
    names, counts = set(), set()
    for seed in range(40):
        picture = pictures.draw(rng_for(seed), size=48)
        red = picture.image[..., 0] - picture.image[..., 1] > 0.4  # resized masks end at a half
        marked = np.logical_or.reduce(picture.objects)
        assert marked.any()
        assert not (marked & ~red).mean() > 0.02
        names.add(picture.name)
        counts.add(len(picture.objects))
    assert names == {"0.png", "1.png"}
    assert counts == {1, 2}


def test_a_picture_depends_on_the_generator_alone_also_in_a_loader_worker(write):
    pictures = CocoPictures(*write([(SMALL, 0), (OTHER, 0)]), split="all")
    copied = pickle.loads(pickle.dumps(pictures))
    first, again = (source.draw(rng_for(7), size=40) for source in (pictures, copied))
    assert (first.image == again.image).all()
    assert len(first.objects) == len(again.objects)


def test_crowds_and_objects_beyond_the_limits_are_left_out_and_images_without_others(write):
    speck, huge, long = box(3, 3, 2, 2), box(0, 0, 60, 40), box(2, 20, 60, 3)
    given = write([(speck, 0)], [(huge, 0)], [(long, 0)], [(SMALL, 1)], [(SMALL, 0), (speck, 0), (huge, 0)])
    pictures = CocoPictures(*given, split="all")
    assert list(pictures.index.names) == ["4.png"]
    (mask,) = pictures.index.masks(0)
    assert (mask == SMALL).all(), "not united with the huge one around it, which is never taken away"


def test_objects_that_overlap_are_one_and_neighbours_are_not(write):
    upper, lower, separate = box(10, 8, 12, 10), box(10, 15, 12, 10), box(22, 8, 10, 10)
    pictures = CocoPictures(*write([(upper, 0), (separate, 0), (lower, 0)]), split="all", largest=0.3)
    masks = pictures.index.masks(0)
    assert len(masks) == 2
    assert any((mask == upper | lower).all() for mask in masks)
    assert any((mask == separate).all() for mask in masks)
    apart = CocoPictures(*write([(upper, 0), (lower, 0)]), split="all", overlap=0.5)
    assert len(apart.index.masks(0)) == 2


def test_objects_that_overlap_by_way_of_a_third_are_one(write):
    first, middle, last, separate = box(4, 4, 20, 12), box(20, 6, 8, 8), box(26, 4, 20, 12), box(44, 14, 10, 12)
    assert not (first & last).any(), "each covers a part of the middle one"
    pictures = CocoPictures(*write([(first, 0), (separate, 0), (last, 0), (middle, 0)]), split="all", largest=0.4)
    masks = pictures.index.masks(0)
    assert len(masks) == 2
    assert any((mask == first | middle | last).all() for mask in masks)


def test_every_twentieth_image_is_held_out_whatever_the_order_of_the_file(write):
    ids = list(range(1000, 1080))
    paths = write(*[[(SMALL, 0)]] * 80, ids=ids)
    train, held_out, everything = (CocoPictures(*paths, split=s) for s in ("train", "validation", "all"))
    assert not set(train.index.names) & set(held_out.index.names)
    assert len(train) + len(held_out) == len(everything) == 80
    assert 1 <= len(held_out) <= 10
    backwards = write(*[[(SMALL, 0)]] * 80, ids=ids, change=lambda c: c["images"].reverse())
    assert (CocoPictures(*backwards, split="train").index.names == train.index.names).all()


def test_the_index_is_small(write):
    pictures = CocoPictures(*write(*[[(SMALL, 0), (OTHER, 0)]] * 200), split="all")
    assert len(pickle.dumps(pictures)) / 400 < 150, "bytes an object"


def test_it_feeds_the_pairs(write):
    pictures = CocoPictures(*write([(SMALL, 0), (OTHER, 0)]), split="all")
    kinds = ("appearance", "disappearance", "exchange")
    for kind in kinds:
        pair = PairSynthesizer(pictures, size=48, mixture={kind: 1.0}, decoys=0.0)(rng_for("pair"))
        assert pair.kind == kind
        assert pair.source == "0.png"
        assert 0 < pair.mask.mean() < 0.6


def without(part, key):
    return lambda content: content[part][0].pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("annotations"), r"no list 'annotations'.*instances_train2017"),
        (lambda c: c.update(images={}), r"no list 'images'"),
        (without("images", "file_name"), r"images\[0\] has no file_name"),
        (without("images", "width"), r"images\[0\] has no width"),
        (without("annotations", "segmentation"), r"annotations\[0\] has no segmentation"),
        (without("annotations", "image_id"), r"annotations\[0\] has no image_id"),
        (lambda c: c.update(images=[3]), r"images\[0\] has no id, file_name"),
        (
            lambda c: c["annotations"][0].update(image_id=77),
            r"annotation 0 of image 77 is of an image that is not listed",
        ),
        (lambda c: c["images"][0].update(height="tall"), r"image 0: height, width and file_name"),
        (lambda c: c["annotations"][0].update(segmentation=[]), r"annotation 0 of image 0 has no usable segmentation"),
        (lambda c: c["annotations"].clear(), r"no image in split 'all'.*widen the limits"),
    ],
)
def test_what_the_json_lacks_is_named_at_the_door(write, change, message):
    paths = write([(SMALL, 0)], change=change)
    with pytest.raises(InputError, match=message):
        CocoPictures(*paths, split="all")


def test_files_that_are_missing_damaged_or_of_another_size_are_named(write, tmp_path):
    annotations, folder = write([(SMALL, 0)], [(SMALL, 0)])
    with pytest.raises(InputError, match=r"folder .*nowhere"):
        CocoPictures(annotations, tmp_path / "nowhere", split="all")
    with pytest.raises(InputError, match=r"0\.png.*file_name"):
        CocoPictures(annotations, tmp_path, split="all")
    with pytest.raises(InputError, match=r"split='test'"):
        CocoPictures(annotations, folder, split="test")
    pictures = CocoPictures(annotations, folder, split="all")
    seeds = {int(rng_for(seed).integers(2)): seed for seed in range(20)}
    (folder / "0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0\.png"):
        pictures.draw(rng_for(seeds[0]), size=32)
    write_png(folder / "1.png", np.zeros((40, 64, 3), np.float32))
    with pytest.raises(InputError, match=r"1\.png has 64 × 40 pixels, its annotations 64 × 48"):
        pictures.draw(rng_for(seeds[1]), size=32)


def test_without_pycocotools_the_extra_is_named(write, monkeypatch):
    paths = write([(SMALL, 0)])
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"pip install 'metauas\[data\]'"):
        CocoPictures(*paths)


# --- annotations as people have them


def pieces(content, number, **change):
    content["annotations"][number].update(change)


USABLE = {
    "text": lambda c: c["images"][0].update(height="48", width="64"),
    "floats": lambda c: c["images"][0].update(height=48.0, width=64.0, id=0.0),
    "crowd as text": lambda c: pieces(c, 0, iscrowd="0"),
    "run lengths as floats": lambda c: pieces(
        c, 0, segmentation={"size": [48.0, "64"], "counts": [float(n) for n in as_counts(SMALL)["counts"]]}
    ),
    "corners as text": lambda c: pieces(c, 0, segmentation=[[str(v) for v in as_polygon(SMALL)[0]]]),
}


@pytest.mark.parametrize("change", USABLE)
def test_numbers_that_are_clear_are_read_however_they_are_written(write, caplog, change):
    pictures = CocoPictures(*write([(SMALL, 0)], [(OTHER, 0)], change=USABLE[change]), split="all")
    assert list(pictures.index.names) == ["0.png", "1.png"]
    assert (pictures.index.masks(0)[0] == SMALL).all()
    assert not caplog.records


UNUSABLE = {
    "no outline": (lambda c: pieces(c, 0, segmentation=[]), "annotation 0 of image 0 has no usable segmentation"),
    "two points": (lambda c: pieces(c, 0, segmentation=[[1, 2, 3, 4]]), "a polygon of 2 points"),
    "no segmentation": (without("annotations", "segmentation"), "annotations[0] has no segmentation"),
    "no such image": (lambda c: pieces(c, 0, image_id=77), "is of an image that is not listed"),
    "an image without a size": (lambda c: c["images"][0].update(height=48.5), "image 0: height, width and file_name"),
    "an entry that is none": (lambda c: c["annotations"].__setitem__(0, 3), "annotations[0] has no image_id"),
    "half a run length": (
        lambda c: pieces(c, 0, segmentation={"size": list(SHAPE), "counts": [0.5, SHAPE[0] * SHAPE[1] - 0.5]}),
        "a run length of 0.5",
    ),
}


@pytest.mark.parametrize("change", UNUSABLE)
def test_one_bad_entry_is_left_out_and_told_and_the_others_are_used(write, caplog, change):
    damage, reason = UNUSABLE[change]
    paths = write([(SMALL, 0)], [(OTHER, 0)], [(SMALL, 0)], change=damage)
    pictures = CocoPictures(*paths, split="all")
    assert list(pictures.index.names) == ["1.png", "2.png"]
    assert reason in str(pictures.index.left_out[0])
    (record,) = caplog.records
    assert f"entries left out: {len(pictures.index.left_out)}, such as" in record.message


def test_a_stray_polygon_is_left_out_and_told_and_the_outline_is_used(write, caplog):
    outline = [*as_polygon(SMALL), [10, 10, 20, 10]]
    pictures = CocoPictures(*write([(outline, 0)]), split="all")
    assert (pictures.index.masks(0)[0] == SMALL).all()
    assert "annotation 0 of image 0 has a polygon of 2 points" in caplog.text


def test_an_image_that_is_listed_twice_is_used_once(write, caplog):
    pictures = CocoPictures(*write([(SMALL, 0)], change=lambda c: c["images"].append(c["images"][0])), split="all")
    assert len(pictures) == 1
    assert "image 0 is listed again" in caplog.text


def test_one_missing_photograph_does_not_refuse_all(write):
    annotations, folder = write([(SMALL, 0)], [(SMALL, 0)])
    (folder / "0.png").unlink()
    assert len(CocoPictures(annotations, folder, split="all")) == 2

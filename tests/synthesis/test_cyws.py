"""The data set coco-inpainted of CYWS, in miniature."""

import os
import pickle

import cv2
import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.synthesis import Variation, collate, open_pairs
from metauas.synthesis.written.cyws import (
    CywsPairs,
    draw_polygons,
    is_cyws,
    read_annotations,
    read_ids,
    removed_objects,
)
from metauas.train import TrainSettings, training_pairs

SHAPE = (60, 80)  # rows, columns
GROUND, OBJECT = 60, (200, 40, 40)
# x, y, width, height of each image's objects
BOXES = {
    7: [(5, 5, 10, 12), (30, 10, 14, 9), (60, 40, 12, 15)],
    12: [(10, 30, 20, 20), (50, 8, 16, 16)],
    100: [(20, 20, 25, 25)],
    205: [(8, 8, 30, 20), (44, 30, 20, 20), (10, 40, 12, 12), (60, 4, 12, 12)],
}
# decimal numbers whose binary digits, the first annotation first, say what is removed; '' is all
VIEWS = {7: ["1", "6", ""], 12: ["2"], 100: [""], 205: ["5", "8", "15"]}


class Call:
    """Pickled, it asks for a function to be called on loading."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def digits_of(view, count):
    """Which objects a view lacks, written apart from the package's own."""
    number = 2**count - 1 if view == "" else int(view)
    return [bool(number >> (count - 1 - place) & 1) for place in range(count)]


def picture(boxes, removed):
    image = np.full((*SHAPE, 3), GROUND, np.uint8)
    for (x, y, width, height), is_gone in zip(boxes, removed, strict=True):
        if not is_gone:
            image[y : y + height, x : x + width] = OBJECT
    return image


def annotation(number, box):
    x, y, width, height = box
    right, low = x + width - 1, y + height - 1
    polygon = [float(v) for v in (x, y, right, y, right, low, x, low)]
    return {"id": number, "bbox": list(map(float, box)), "segmentation": [polygon], "iscrowd": 0, "category_id": 1}


def pickled(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "coco-inpainted"
    for name in ("images_and_masks", "inpainted", "metadata"):
        (folder / name).mkdir(parents=True)
    for number, boxes in BOXES.items():
        write_png(folder / "images_and_masks" / f"{number}.png", picture(boxes, [False] * len(boxes)))
        for view in VIEWS[number]:
            path = folder / "inpainted" / f"{number}_mask{view}.png"
            write_png(path, picture(boxes, digits_of(view, len(boxes))))
        np.save(folder / "metadata" / f"{number}.npy", pickled([annotation(k, box) for k, box in enumerate(boxes)]))
    np.save(folder / "list_of_indices.npy", np.array(list(BOXES)))
    (folder / "data_split.pkl").write_bytes(pickle.dumps({"train": np.array([7, 12, 205]), "val": np.array([100])}))
    return folder


# --- reading


def test_bits_mark_the_annotations_from_the_left():
    assert removed_objects(0, count=3) == []
    assert removed_objects(1, count=3) == [2]
    assert removed_objects(6, count=3) == [0, 1]
    assert removed_objects(2**70 + 1, count=71) == [0, 70]
    for view in VIEWS[205]:
        expected = [place for place, is_gone in enumerate(digits_of(view, 4)) if is_gone]
        assert removed_objects(int(view), count=4) == expected


def test_the_splits_are_those_of_the_file(root):
    assert read_ids(root, split="train") == ("7", "12", "205")
    assert read_ids(root, split="validation") == ("100",)
    assert (len(CywsPairs(root)), len(CywsPairs(root, split="validation"))) == (3, 1)
    with pytest.raises(InputError, match=r"data_split\.pkl holds no split 'test', it has: train, val"):
        CywsPairs(root, split="test")
    with pytest.raises(InputError, match="split='val'"):
        CywsPairs(root, split="val")


def test_without_a_split_the_list_of_indices_is_divided(root):
    (root / "data_split.pkl").unlink()
    np.save(root / "list_of_indices.npy", np.arange(50))
    parts = {split: read_ids(root, split=split) for split in ("train", "validation", "test")}
    assert parts["validation"] == ("0", "20", "40")
    assert not set(parts["train"]) & set(parts["validation"])
    assert set(parts["train"]) | set(parts["validation"]) == set(parts["test"]) == set(map(str, range(50)))
    (root / "list_of_indices.npy").unlink()
    with pytest.raises(InputError, match=r"list_of_indices\.npy does not exist.*data_split\.pkl"):
        CywsPairs(root)


def test_a_folder_is_recognised(root, tmp_path):
    assert is_cyws(root)
    assert not is_cyws(tmp_path)
    opened = open_pairs(root, size=48, seed=5)
    assert torch.equal(opened[1].query, CywsPairs(root, size=48, seed=5)[1].query)


def test_a_training_reads_both_splits_of_the_folder(root):
    settings = TrainSettings(pairs=str(root), size=32, steps=3, batch_size=4, validation={"pairs": 1}, seed=5)
    pairs, held_out = (training_pairs(settings, split=split) for split in ("train", "validation"))
    assert (len(pairs), len(held_out)) == (12, 1)
    assert {pairs[index].source for index in range(3)} == {"7", "12", "205"}
    varied = {
        split: CywsPairs(root, split=split, size=32, seed=5, variation=Variation()) for split in ("train", "validation")
    }
    by_source = {pair.source: pair for pair in varied["train"]}
    assert all(torch.equal(pair.query, by_source[pair.source].query) for pair in (pairs[index] for index in range(12)))
    assert torch.equal(held_out[0].mask, varied["validation"][0].mask)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": {"pairs": 2}}, "holds 1 pairs of validation; set validation.pairs to at most that"),
        ({"recipe": "goods"}, "recipe has no effect on the written pairs"),
    ],
)
def test_a_training_that_does_not_fit_the_folder_is_refused(root, changes, message):
    settings = TrainSettings(**{"pairs": str(root), "size": 32, "validation": {"pairs": 1}, **changes})
    with pytest.raises(InputError, match=message):
        training_pairs(settings, split="validation")


# --- pairs


def side(image):
    return image.permute(1, 2, 0).numpy()


def is_there(image, box):
    """Whether an object is seen in an image (3, h, w) that was squeezed from SHAPE."""
    x, y, width, height = box
    row, column = (y + height / 2) / SHAPE[0], (x + width / 2) / SHAPE[1]
    return float(image[0, int(row * image.shape[1]), int(column * image.shape[2])]) > 0.5


@pytest.mark.parametrize("seed", range(12))
def test_the_mask_marks_what_one_of_the_views_lacks(root, seed):
    for pair in CywsPairs(root, size=64, seed=seed):
        boxes = BOXES[int(pair.source)]
        in_query, in_prompt = ([is_there(image, box) for box in boxes] for image in (pair.query, pair.prompt))
        expected = np.zeros(SHAPE, np.uint8)
        for (x, y, width, height), a, b in zip(boxes, in_query, in_prompt, strict=True):
            expected[y : y + height, x : x + width] = a != b
        resized = cv2.resize(expected.astype(np.float32), (64, 64), interpolation=cv2.INTER_LINEAR)
        found = pair.mask[0].numpy()
        assert set(np.unique(found)) == {0, 1}
        assert (found[resized > 0.99] == 1).all()
        assert (found[cv2.blur(resized, (5, 5)) < 1e-3] == 0).all()
        difference = (pair.query - pair.prompt).abs().amax(0).numpy()
        assert difference[found == 0].max() < 0.02
        appeared, gone = (any(a and not b for a, b in zip(*sides, strict=True)) for sides in
                          ((in_query, in_prompt), (in_prompt, in_query)))  # fmt: skip
        assert pair.kind == {(True, False): "appearance", (False, True): "disappearance"}.get(
            (appeared, gone), "exchange"
        )


def test_every_kind_either_way_round_and_every_view_come_up(root):
    pairs = [CywsPairs(root, size=32, seed=seed)[index] for seed in range(60) for index in range(3)]
    assert {pair.kind for pair in pairs} == {"appearance", "disappearance", "exchange"}
    for number in (7, 12, 205):
        shown = {tuple(is_there(p.query, box) for box in BOXES[number]) for p in pairs if p.source == str(number)}
        views = {tuple(not gone for gone in digits_of(view, len(BOXES[number]))) for view in VIEWS[number]}
        assert shown == views | {(True,) * len(BOXES[number])}


def test_a_pair_is_a_function_of_seed_and_index(root):
    def images(pairs):
        return torch.cat([torch.cat([p.query, p.prompt, p.mask]) for p in pairs])

    def dataset(**given):
        return CywsPairs(root, size=32, variation=Variation(), **given)

    first, again = dataset(), dataset()
    backwards = [again[index] for index in (2, 1, 0)][::-1]
    assert torch.equal(images(first), images(backwards))
    assert not torch.equal(images(first), images(dataset(seed=1)))
    with pytest.raises(IndexError, match="pair 3 of 3"):
        first[3]


def test_variation_moves_both_sides_and_the_mask_with_the_query(root):
    plain, varied = (CywsPairs(root, size=64, seed=2, variation=v) for v in (None, Variation(noise=0.0)))
    for index in range(3):
        pair = varied[index]
        assert not torch.equal(pair.query, plain[index].query)
        red = side(pair.query)[..., 0] - side(pair.query)[..., 1]
        gone = side(pair.prompt)[..., 0] - side(pair.prompt)[..., 1]
        if pair.kind == "appearance":
            assert red[pair.mask[0].numpy() > 0].mean() > 0.4
        elif pair.kind == "disappearance":
            assert gone.max() > 0.4
            assert red[pair.mask[0].numpy() > 0].mean() < 0.2
    assert collate(list(varied)).query.shape == (3, 3, 64, 64)


def test_what_is_out_of_view_has_not_changed(root):
    image = picture([(0, 0, 3, 3)], [False])
    write_png(root / "images_and_masks" / "100.png", image)
    np.save(root / "metadata" / "100.npy", pickled([annotation(0, (0, 0, 3, 3))]))
    pair = CywsPairs(root, size=64, split="validation", variation=Variation.off())[0]
    assert (pair.kind, float(pair.mask.sum())) == ("unchanged", 0.0)


def test_polygons_are_joined_also_where_they_overlap():
    two = [[0, 0, 9, 0, 9, 9, 0, 9], [5, 5, 14, 5, 14, 14, 5, 14]]
    mask = draw_polygons([{"segmentation": two}], shape=(20, 20), origin="here")
    assert mask[7, 7]
    assert mask.sum() == 100 + 100 - 25
    beyond = draw_polygons([{"segmentation": [[-1e9, -5, 1e9, -5, 1e9, 3, -1e9, 3]]}], shape=(20, 20), origin="here")
    assert (beyond == (np.arange(20)[:, None] <= 3)).all()


def test_a_stray_polygon_of_two_points_is_left_out_where_there_are_others():
    box = [0, 0, 9, 0, 9, 9, 0, 9]
    assert draw_polygons([{"segmentation": [box, [12, 12, 15, 15]]}], shape=(20, 20), origin="here").sum() == 100


# --- mistakes


@pytest.mark.parametrize("lost", ["images_and_masks/12.png", "metadata/12.npy", "inpainted/12_mask2.png"])
def test_missing_files_are_named_before_any_work(root, lost):
    (root / lost).unlink()
    name = lost.replace("mask2", "mask…")
    with pytest.raises(InputError, match=rf"{name} does not exist; 1 of the files that split 'train' needs"):
        CywsPairs(root)
    assert len(CywsPairs(root, split="validation")) == 1, "the other split is whole"


@pytest.mark.parametrize("folder", ["images_and_masks", "inpainted", "metadata"])
def test_missing_folders_are_named(root, folder):
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(InputError, match=rf"{folder} does not exist.*coco-inpainted has"):
        CywsPairs(root)
    with pytest.raises(InputError, match=r"absent does not exist.*coco-inpainted"):
        CywsPairs(root / "absent")


@pytest.mark.parametrize("name", ["metadata/7.npy", "data_split.pkl", "images_and_masks/7.png", "inpainted/7_mask.png"])
def test_truncated_files_are_named(root, name):
    content = (root / name).read_bytes()
    (root / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"{name} cannot be read"):
        [CywsPairs(root, size=32, seed=seed)[0] for seed in range(20)]  # until the damaged view is drawn


@pytest.mark.parametrize("name", ["data_split.pkl", "metadata/7.npy", "list_of_indices.npy"])
def test_hostile_files_are_named_and_do_nothing(root, tmp_path, name):
    trace = tmp_path / "trace"
    call = Call(os.mkdir, str(trace))
    if name.endswith("pkl"):
        (root / name).write_bytes(pickle.dumps({"train": call, "val": [1]}))
    else:
        np.save(root / name, pickled([call]), allow_pickle=True)
    if name.startswith("list"):
        (root / "data_split.pkl").unlink()
    with pytest.raises(InputError, match=rf"{name} .*mkdir, which is refused"):
        CywsPairs(root, size=32)[0]
    assert not trace.exists()


@pytest.mark.parametrize("ids", [["../../etc/passwd"], [], [1.5], {"a": 1}, 3])
def test_ids_that_are_no_numbers_are_refused(root, ids):
    (root / "data_split.pkl").write_bytes(pickle.dumps({"train": ids}))
    with pytest.raises(InputError, match=r"data_split\.pkl holds no list of image numbers"):
        CywsPairs(root)


def test_views_that_do_not_fit_their_annotations_are_named(root):
    write_png(root / "inpainted" / "12_mask4.png", picture(BOXES[12], [True, True]))
    with pytest.raises(InputError, match=r"12_mask4\.png removes more objects than the 2 in metadata/12\.npy"):
        CywsPairs(root)[1]
    for view in ("4", "2"):
        (root / "inpainted" / f"12_mask{view}.png").unlink()
    write_png(root / "inpainted" / "12_mask0.png", picture(BOXES[12], [False, False]))
    with pytest.raises(InputError, match="no view of this image has an object removed"):
        CywsPairs(root)[1]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"counts": "abc", "size": [60, 80]}, "could not convert string to float"),
        ([[1, 2, 3]], "cannot reshape array of size 3"),
        ([[1, 2, 3, 4]], "a polygon of 2 points"),
        ([[1, 2, 3, 4, 5, float("nan")]], "values that are no numbers"),
        ([["a", "b"]], "could not convert string to float"),
        ([], "no polygon"),
        (None, "'NoneType' object is not iterable"),
    ],
)
def test_broken_polygons_are_named(root, segmentation, message):
    file = root / "metadata" / "100.npy"
    np.save(file, pickled([annotation(0, BOXES[100][0]) | {"segmentation": segmentation}]))
    with pytest.raises(InputError, match=rf"100\.npy: .*{message}.*it must be polygons"):
        CywsPairs(root, split="validation")[0]


@pytest.mark.parametrize("content", [np.arange(3), pickled([1, 2]), pickled([])])
def test_metadata_that_hold_no_annotations_are_named(root, content):
    np.save(root / "metadata" / "7.npy", content)
    with pytest.raises(InputError, match=r"7\.npy holds no list of annotations"):
        read_annotations(root / "metadata" / "7.npy")

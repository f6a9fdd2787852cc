import csv
import errno
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval.images.drawing import COLOURS, draw_verdict
from metauas.eval.images.files import (
    find_queries,
    overlay_paths,
    plan_overlays,
    segment_each,
    segment_files,
    write_results,
)
from metauas.eval.images.regions import find_regions
from metauas.files import read_json
from metauas.files.images import read_image, stack_images, write_png
from metauas.model import create_model
from metauas.seeding import rng_for

SIZE = 32


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("images"), rng_for(0, "files")
    return [write_png(folder / f"{name}.png", rng.random((40, 56, 3))) for name in ("normal", "one", "two")]


@pytest.fixture(scope="module")
def maps(model, images):
    return [m for _, _, m in segment_each(model, prompts=images[:1], queries=images[1:], size=SIZE)]


def segmented(model, images, out, threshold):
    overlays = plan_overlays(images[1:], prompts=images[:1], out=out)
    return list(segment_files(model, prompts=images[:1], overlays=overlays, size=SIZE, threshold=threshold))


def test_maps_are_the_networks_own(model, images, maps):
    prompt, queries = stack_images(images[:1], size=SIZE), stack_images(images[1:], size=SIZE)
    expected = model.segment(queries, prompt)[:, 0].numpy()
    # a batch of two and one at a time sum in another order
    assert np.allclose(maps, expected, atol=1e-5)


def test_without_a_threshold_there_is_a_score_and_no_verdict(model, images, maps, tmp_path):
    results = segmented(model, images, tmp_path, None)
    assert [(r.score, r.verdict, r.regions) for r in results] == [(m.max(), "", ()) for m in maps]
    assert read_image(results[0].overlay).shape == (40, 56, 3)


@pytest.mark.parametrize("above", [True, False])
def test_the_verdict_is_that_of_the_score(model, images, maps, tmp_path, above):
    highest = max(float(m.max()) for m in maps)
    threshold = float(np.nextafter(np.float32(highest), np.float32(0))) if above else highest
    results = segmented(model, images, tmp_path, threshold)
    assert [r.verdict for r in results].count("DEFECTIVE") == (1 if above else 0)
    for result in results:
        assert (result.verdict == "DEFECTIVE") == bool(result.regions) == (result.score > threshold)


def test_regions_are_in_pixels_of_the_query(model, images, tmp_path):
    (result, _) = segmented(model, images, tmp_path, 0.0)
    (whole,) = result.regions
    assert (whole.x, whole.y, whole.width, whole.height, whole.area) == (0, 0, 56, 40, 56 * 40)
    assert whole.score == result.score


def test_results_are_written_as_data(model, images, tmp_path):
    results = segmented(model, images, tmp_path, 0.0)
    table, details, gallery = write_results(tmp_path, results, about={"prompts": ["a.png", "b.png"], "threshold": 0.0})
    assert gallery.read_text().count("DEFECTIVE</span>") == 2
    (head,) = re.findall(r"<p>(.*?)</p>", gallery.read_text(), flags=re.DOTALL)
    assert " ".join(head.split()) == (
        "2 images, highest score first. Prompt: a.png, b.png. Scores above 0.0000 are DEFECTIVE."
    )
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["query"] for row in rows] == [str(path) for path in images[1:]]
    assert [float(row["score"]) for row in rows] == [result.score for result in results]
    assert [(row["verdict"], row["regions"], row["defective share"]) for row in rows] == [("DEFECTIVE", "1", "1.0")] * 2
    written = read_json(details)
    assert written["threshold"] == 0
    region = written["images"][0]["regions"][0]
    assert set(region) == {"x", "y", "width", "height", "area", "share", "score", "mean"}
    assert region["mean"] == results[0].regions[0].mean


def test_a_network_in_training_mode_is_refused(images):
    with pytest.raises(InputError, match=r"call model.eval\(\)"):
        next(segment_each(create_model("lite").train(), prompts=images[:1], queries=images[1:], size=SIZE))


def test_a_map_that_is_no_number_is_no_verdict(images, tmp_path):
    broken = create_model("lite").eval()
    with torch.no_grad():
        next(iter(broken.decoder.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match=r"one\.png is not finite"):
        segmented(broken, images, tmp_path / "maps", 0.5)
    assert not (tmp_path / "maps").exists()


def test_no_query_and_no_prompt_are_refused(model, images):
    with pytest.raises(InputError, match="name at least one"):
        plan_overlays([], prompts=images[:1], out="out")
    with pytest.raises(InputError, match="no prompt given"):
        next(segment_each(model, prompts=[], queries=images, size=SIZE))


def test_queries_of_one_name_are_told_apart(tmp_path):
    def names(*queries):
        return [path.name for path in overlay_paths("out", [tmp_path / query for query in queries])]

    assert names("a/0.png", "a/1.png") == ["0_overlay.png", "1_overlay.png"]
    assert names("a/0.png", "a/0.jpg") == ["0.png_overlay.png", "0.jpg_overlay.png"]
    assert names("a/0.png", "b/0.png") == ["a-0_overlay.png", "b-0_overlay.png"]
    assert names("x/a/0.png", "y/a/0.png") == ["x-a-0_overlay.png", "y-a-0_overlay.png"]
    with pytest.raises(InputError, match="is given twice"):
        names("a/0.png", "b/../a/0.png")
    with pytest.raises(InputError, match=r"a/0\.png and .*a/0\.PNG differ in case alone; rename one"):
        names("b/0.png", "a/0.png", "a/0.PNG")


def test_an_overlay_has_the_name_that_was_given_not_that_of_a_links_target(images, tmp_path):
    """As in the cache of the Hugging Face Hub, where pictures are links to files named by their hash."""
    link, other = tmp_path / "part.png", tmp_path / "folder" / "part.png"
    other.parent.mkdir()
    for path, target in ((link, images[1]), (other, images[2])):
        path.symlink_to(target)
    assert [path.name for path in overlay_paths("out", [link])] == ["part_overlay.png"]
    names = [path.name for path in overlay_paths("out", [link, other])]
    assert names == [f"{tmp_path.name}-part_overlay.png", "folder-part_overlay.png"]
    with pytest.raises(InputError, match=r"one\.png is given twice, first as .*part\.png"):
        overlay_paths("out", [link, images[1]])


def test_every_query_gets_its_own_overlay(model, images, tmp_path):
    twin = tmp_path / "folder" / images[1].name
    twin.parent.mkdir()
    shutil.copy(images[2], twin)
    queries = [images[1], twin]
    overlays = plan_overlays(queries, prompts=images[:1], out=tmp_path / "out")
    found = list(segment_files(model, prompts=images[:1], overlays=overlays, size=SIZE))
    assert len({result.overlay for result in found}) == len(list((tmp_path / "out").iterdir())) == 2
    gallery = write_results(tmp_path / "out", found, about={})[-1].read_text()
    assert all(f"<figcaption>{query}<br>" in gallery for query in queries)


def test_folders_stand_for_their_images(images, tmp_path):
    assert find_queries([images[0].parent, images[1]]) == [*sorted(images), images[1]]
    with pytest.raises(InputError, match="holds no image"):
        find_queries([tmp_path])


def test_a_query_in_a_folder_that_may_not_be_entered_is_taken_as_a_file(images, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refused)
    assert find_queries(images[:1]) == images[:1]  # reading it says why it cannot be had


def test_a_folder_of_queries_that_is_also_the_output_is_refused_the_first_time(images):
    """The second time, it would hold overlays, which would be segmented, too."""
    folder = images[0].parent
    assert find_queries([folder], out=folder / "maps") == sorted(images)
    assert find_queries(images, out=folder) == images
    with pytest.raises(InputError, match=r"is also the folder for the results; choose another for"):
        find_queries([folder], out=folder / "maps" / "..")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
@pytest.mark.parametrize("given", ["query", "prompt"])
def test_a_name_that_results_cannot_hold_is_refused_before_segmentation(images, tmp_path, given):
    """As after unpacking an archive of Windows, whose names are in another encoding."""
    path = tmp_path / os.fsdecode(b"K\xf6rper.png")
    shutil.copy(images[1], path)
    queries, prompts = ([path], images[:1]) if given == "query" else (images[1:], [path])
    with pytest.raises(InputError, match=r"name of .*K\\xf6rper\.png' is not UTF-8; rename the file"):
        plan_overlays(queries, prompts=prompts, out=tmp_path / "maps")


def test_several_prompts_are_those_of_the_network(model, images):
    (found,) = segment_each(model, prompts=images[:2], queries=images[2:], size=SIZE)
    prompts, query = stack_images(images[:2], size=SIZE), stack_images(images[2:], size=SIZE)
    np.testing.assert_allclose(found[2], model.segment(query, prompts[None])[0, 0].numpy(), atol=1e-6)
    (alone,) = segment_each(model, prompts=images[1:2], queries=images[2:], size=SIZE)
    assert np.abs(found[2] - alone[2]).max() > 1e-5


@pytest.mark.parametrize("given", ["query", "prompt"])
def test_no_overlay_takes_the_place_of_an_image_that_was_given(images, tmp_path, given):
    """As with ``*.png`` in the folder of the overlays, the second time."""
    query, overlay = tmp_path / "one.png", tmp_path / "one_overlay.png"
    shutil.copy(images[1], query)
    shutil.copy(images[2], overlay)
    before = overlay.read_bytes()
    prompt, queries = (images[0], [query, overlay]) if given == "query" else (overlay, [query])
    with pytest.raises(InputError, match=r"one_overlay\.png would take the place of an image that was given"):
        plan_overlays(queries, prompts=[prompt], out=tmp_path / "." / ".")
    assert overlay.read_bytes() == before


def has_caption(picture, verdict):
    return (picture == COLOURS[verdict]).all(axis=-1)


@pytest.mark.parametrize("verdict", ["OK", "DEFECTIVE"])
def test_the_caption_stands_in_the_quietest_corner(verdict):
    anomaly_map = np.zeros((160, 240), dtype=np.float32)
    anomaly_map[:100] = 0.8
    anomaly_map[100:, :130] = 0.3
    image = np.full((160, 240, 3), 200, dtype=np.uint8)
    picture = draw_verdict(image, anomaly_map, regions=[], verdict=verdict, score=0.8)
    rows, columns = np.nonzero(has_caption(picture, verdict))
    assert rows.size
    assert rows.min() > 100
    assert columns.mean() > 120
    assert (image == 200).all()


def test_a_small_image_is_not_hidden_behind_its_caption():
    image, anomaly_map = np.zeros((60, 60, 3), dtype=np.uint8), np.zeros((60, 60), dtype=np.float32)
    assert not draw_verdict(image, anomaly_map, regions=[], verdict="OK", score=0.1).any()


def test_even_the_smallest_region_is_outlined():
    image, anomaly_map = np.full((64, 64, 3), 90, dtype=np.uint8), np.zeros((64, 64), dtype=np.float32)
    anomaly_map[30, 20] = 0.6
    plain = draw_verdict(image, anomaly_map, regions=[], verdict="DEFECTIVE", score=0.6)
    regions = find_regions(anomaly_map, 0.5)
    outlined = draw_verdict(image, anomaly_map, regions=regions, verdict="DEFECTIVE", score=0.6)
    rows, columns = np.nonzero((plain != outlined).any(axis=-1))
    assert (rows.mean(), columns.mean()) == (30, 20)
    assert outlined[30, 20].tolist() == [0, 229, 255]

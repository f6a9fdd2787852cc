"""A run of ``metauas segment`` that is stopped continues with the queries that are left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from metauas.cli import cli
from metauas.errors import InputError, OutputError
from metauas.eval.images import files
from metauas.eval.images.identity import run_digest
from metauas.eval.images.records import RECORDS_NAME, Records
from metauas.files.images import write_png
from metauas.model import save_checkpoint
from metauas.seeding import rng_for

SIZE = 32
QUERIES = tuple(f"query{number}.png" for number in range(5))
#: Ends in the middle of the third overlay, after the file was opened and before it has its name.
KILLED = """
import os, signal, sys
from PIL import Image
from metauas.cli import app

save, written = Image.Image.save, []

def half_a_file(image, path, **options):
    written.append(path)
    if len(written) == 3:
        open(path, "wb").write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    save(image, path, **options)

Image.Image.save = half_a_file
app()
"""


@pytest.fixture
def place(model, tmp_path, monkeypatch):
    """Return a folder with a checkpoint, a prompt and queries, which is the current one."""
    for folder in (tmp_path / "unbroken", tmp_path / "killed"):
        save_checkpoint(model, folder / "network")
        for index, name in enumerate(("normal.png", *QUERIES)):
            write_png(folder / name, rng_for(index, "records").random((40, 56, 3)))
    monkeypatch.chdir(tmp_path / "killed")
    return tmp_path / "killed"


@pytest.fixture
def segmented(monkeypatch):
    """Return a list that collects the names of the queries that the network segments."""
    names, segment_each = [], files.segment_each

    def noted(model, *, prompts, queries, size):
        for found in segment_each(model, prompts=prompts, queries=queries, size=size):
            names.append(found[0].name)
            yield found

    monkeypatch.setattr(files, "segment_each", noted)
    return names


def arguments(*more):
    network = ("--checkpoint", "network", "--size", str(SIZE), "--single-pass", "--device", "cpu")
    return ["segment", *QUERIES, "--prompt", "normal.png", *network, "--threshold", "0.4", *map(str, more)]


def segment(*more):
    result = CliRunner().invoke(cli, arguments(*more))
    assert result.exit_code == 0, result.exception
    return result.stdout


def content(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_killed_it_continues_and_ends_with_the_bytes_of_an_unbroken_run(place, segmented, monkeypatch):
    monkeypatch.chdir(place.parent / "unbroken")
    told = segment()
    unbroken = content(place.parent / "unbroken" / "maps")
    assert {"scores.csv", "results.json", "gallery.html", "query4_overlay.png"} <= unbroken.keys()
    assert segmented == list(QUERIES)
    segmented.clear()
    monkeypatch.chdir(place)
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments()], capture_output=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list((place / "maps").glob(".tmp-*"))
    assert not (place / "maps" / "scores.csv").exists()
    assert segment() == told
    assert segmented == list(QUERIES[2:])
    assert content(place / "maps") == unbroken
    (place / "maps" / "query4_overlay.png").unlink()
    assert segment() == told
    assert segmented == [*QUERIES[2:], QUERIES[4]]
    assert content(place / "maps") == unbroken


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_after_a_stop_no_table_or_gallery_of_an_earlier_run_describes_the_new_overlays(place):
    segment("--threshold", 0.6)
    assert {"scores.csv", "results.json", "gallery.html"} <= content(place / "maps").keys()
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments()], capture_output=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not {"scores.csv", "results.json", "gallery.html"} & content(place / "maps").keys()


def test_a_table_that_another_program_keeps_open_is_named_before_segmentation(place, segmented, monkeypatch):
    """As a spreadsheet does on Windows."""

    def keep(path, **options):
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(files.Path, "unlink", keep)
    result = CliRunner().invoke(cli, arguments())
    assert isinstance(result.exception, OutputError)
    assert "scores.csv cannot be replaced (used by another process); close the program" in str(result.exception)
    assert not segmented


#: Options that are added, a file that is replaced by a black picture, and the queries that are segmented again.
CHANGES = {
    "threshold": (("--threshold", 0.6), None, QUERIES),
    "size": (("--size", 64), None, QUERIES),
    "tiles": (("--tiles",), None, QUERIES),
    "prompt": ((), "normal.png", QUERIES),
    "query": ((), QUERIES[1], QUERIES[1:2]),
    "overlay": ((), "maps/query2_overlay.png", QUERIES[2:3]),
    "record": ((), f"maps/{RECORDS_NAME}/query3_overlay.json", QUERIES[3:4]),
    "no resume": (("--no-resume",), None, QUERIES),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_segmented_again(place, segmented, change):
    segment()
    segmented.clear()
    options, replaced, expected = CHANGES[change]
    if replaced:
        write_png(place / replaced, np.zeros((40, 56, 3)))
    segment(*options)
    assert segmented == list(expected)
    kept = content(place / "maps")
    segment(*options, "--no-resume")
    assert content(place / "maps") == kept


def test_a_result_comes_back_with_its_regions(model, place):
    run = run_digest(model, prompts=["normal.png"], size=SIZE, threshold=0.0)

    def once():
        prompts = [Path("normal.png")]
        overlays = files.plan_overlays([Path(QUERIES[0])], prompts=prompts, out="maps")
        given = {"prompts": prompts, "overlays": overlays, "size": SIZE, "threshold": 0.0}
        return next(files.segment_files(model, **given, records=Records("maps", run=run)))

    first, again = once(), once()
    assert again == first
    (ours,), (theirs,) = first.regions, again.regions
    assert [c.tolist() for c in ours.contours] == [c.tolist() for c in theirs.contours]


def test_a_query_that_is_given_twice_is_refused_before_a_folder_is_made(place):
    result = CliRunner().invoke(cli, [*arguments(), QUERIES[0]])
    assert isinstance(result.exception, InputError)
    assert not (place / "maps").exists()

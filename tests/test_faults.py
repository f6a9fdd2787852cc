"""What ``docs/faults.md`` says, as far as no other test is nearer to it."""

import ast
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from metauas.errors import OutputError
from metauas.files import write_json, write_text
from metauas.files.images import write_png
from metauas.files.maps import write_map
from metauas.model.weights.checkpoint import write_tensors
from metauas.plots import save_figure
from metauas.synthesis import ShardsFailedError, read_recipe, write_pairs

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows():
    """Return the rows of the tables of faults, by their first cell."""
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("|") and "---" not in line]
    return {first.strip(): rest[-1] for first, *rest in cells if rest[-1].strip() != "test"}


@pytest.mark.parametrize("fault", rows())
def test_every_fault_is_proved_by_tests_that_exist(fault):
    named = NAMED.findall(rows()[fault])
    assert named, "no test is named"
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


def test_no_clock_that_can_jump_is_read():
    """Noting when a run was is all that the clock on the wall is good for."""
    read = {
        path.relative_to(ROOT / "metauas").as_posix()
        for path in (ROOT / "metauas").rglob("*.py")
        if re.search(r"\btime\.time\(|\bdatetime\.(now|today|utcnow)\(|\btime\.(localtime|gmtime)\(", path.read_text())
    }
    assert read <= {"train/record.py", "ablations/results/kept.py"}


WRITING = """
import sys, time
import metauas.cli as cli
from metauas.files import atomic_path

def run():
    with atomic_path(sys.argv[1] + "/result.json") as temporary:
        temporary.write_text("half")
        print("in", flush=True)
        for _ in range(600):  # not one long sleep: a signal just before it would wait for its end
            time.sleep(0.1)

cli.cli = run
cli.app()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_sigterm_takes_away_what_is_half_written(tmp_path):
    command = [sys.executable, "-c", WRITING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "in\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@contextmanager
def disk_that_ends(size):
    """No file can become longer than ``size`` bytes: the system refuses to write, half way, as on a full disk."""
    resource = pytest.importorskip("resource", reason="Windows has no limits of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOISE = np.random.default_rng(0)
WRITERS = {
    "text": lambda path: write_text(path / "a.txt", "x" * 100_000),
    "json": lambda path: write_json(path / "a.json", list(range(50_000))),
    "png": lambda path: write_png(path / "a.png", NOISE.integers(0, 256, (200, 200, 3), dtype=np.uint8)),
    "map": lambda path: write_map(path / "a.png", NOISE.random((200, 200))),
    "tensors": lambda path: write_tensors(path / "a.safetensors", {"w": torch.zeros(100_000)}, header={}),
    "figure": lambda path: save_figure(plt.figimage(NOISE.random((200, 200))).figure, path / "a.png"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_leaves_nothing_half_written_where_the_disk_ends(tmp_path, writer):
    with disk_that_ends(2_000), pytest.raises(OutputError, match="cannot be written"):
        WRITERS[writer](tmp_path)
    plt.close("all")
    assert list(tmp_path.iterdir()) == []
    WRITERS[writer](tmp_path)
    plt.close("all")
    assert [path.name.startswith("a.") for path in tmp_path.iterdir()] == [True]


def test_shards_that_the_disk_does_not_hold_are_named_and_written_when_there_is_room(tmp_path):
    settings = read_recipe(size=32, count=4, shard_size=2, validation_share=0.0, pictures={"drawn_textures": 1.0})
    with disk_that_ends(2_000), pytest.raises(ShardsFailedError, match=r"2 of 2 shards(.|\n)*cannot be written"):
        write_pairs(settings, tmp_path, workers=0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert write_pairs(settings, tmp_path, workers=0)["last run"]["pairs"] == 4

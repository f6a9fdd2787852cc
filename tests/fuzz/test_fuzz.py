"""A sample of ``make fuzz``: damaged files for every reader, in a process that is watched."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limits and timers of processes")
SCRIPT = Path(__file__).with_name("fuzz.py")
READERS = (
    "image", "mask", "labels", "map", "safetensors", "checkpoint", "torch file", "timm weights", "cyws", "coco", "visa",
    "real-iad", "prompt file", "parameters", "recipe", "calibration", "notebook", "results",
    "record", "shard",
)  # fmt: skip
SAMPLE = 40


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    work = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, str(SCRIPT), "--count", str(SAMPLE), "--work", str(work)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=550, check=False)
    assert process.returncode == 0, f"a reader crashed or hung:\n{process.stderr[-3000:]}"
    return json.loads((work / "results.json").read_text())


def test_every_reader_is_there(results):
    assert tuple(results) == READERS


@pytest.mark.parametrize("reader", READERS)
def test_damaged_files_are_read_or_refused_and_nothing_else_happens(results, reader):
    found = results[reader]
    assert found["bad"] == []
    assert found["strange files"] == []
    assert set(found["outcomes"]) <= {"read", "refused"}
    assert found["outcomes"].get("refused", 0) > 0, "nothing was damaged"


def load(name):
    """Return a module of this folder: the scripts here are no package."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, SCRIPT.with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_same_seed_damages_alike_and_mostly_it_does():
    mutate = load("mutations").mutate
    content = bytes(range(256))
    first, second = ([mutate(content, others=[b"abc"], rng=np.random.default_rng(k)) for k in range(200)] for _ in "ab")
    assert first == second
    assert sum(damaged != content for damaged in first) > 180
    assert any(len(damaged) < 128 for damaged in first)
    assert any(len(damaged) > 256 for damaged in first)


HARMFUL = {
    "write": "Path(path.parent / 'new').write_text('x')",
    "program": "__import__('subprocess').run(['true'])",
    "error": "raise KeyError('uncaught')",
    "hang": "\n    while True: pass",
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_the_watch_sees_what_it_should(tmp_path, harm):
    """A reader that does what none may do is found out."""
    readers = f"""
from dataclasses import dataclass
from pathlib import Path
from typing import Any

@dataclass
class Reader:
    make: Any
    read: Any
    costly: bool = False

def make(folder):
    (folder / "a").write_bytes(b"abcdefgh")
    return [folder / "a"]

calls = []

def read(path):
    calls.append(path)
    if len(calls) == 1: return  # the whole file
    {HARMFUL[harm]}

READERS = {{"bad": Reader(make, read)}}
"""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "readers.py").write_text(readers)
    (folder / "mutations.py").write_text(SCRIPT.with_name("mutations.py").read_text())
    (folder / "fuzz.py").write_text(SCRIPT.read_text().replace("LIMIT = 5 ", "LIMIT = 1 "))
    command = [sys.executable, str(folder / "fuzz.py"), "--count", "3", "--work", str(tmp_path / "work")]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if harm == "hang":
        assert process.returncode < 0
        assert "in read" in process.stderr
        return
    (found,) = json.loads((tmp_path / "work" / "results.json").read_text()).values()
    assert len(found["bad"]) == 3
    assert {"write": "open", "program": "subprocess.Popen", "error": "KeyError: 'uncaught'"}[harm] in found["bad"][0]
    assert found["strange files"] == (["bad/new"] if harm == "write" else [])

"""What `pip install` brings: the package, its weights, and the whole suite of notebooks and parameter files."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from metauas.ablations.notebooks import SUITE

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]
FILES = [
    file
    for name in ("metauas", *SUITE)
    for file in (ROOT / name).rglob("*")
    if file.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & {*file.parts}
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder that holds what an installed wheel would leave in site-packages."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target / "site")
    return target / "site"


def metauas(*arguments, installed, folder):
    """Run the command line of what is installed, in a folder that has nothing to do with a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("METAUAS_NOTEBOOKS", None)
    command = [sys.executable, "-m", "metauas", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_is_in_the_wheel(installed):
    for file in FILES:
        place = file.relative_to(ROOT)
        packed = installed / ("metauas/suite" if place.parts[0] in SUITE else "") / place
        assert packed.read_bytes() == file.read_bytes(), place


def test_training_by_a_parameter_file_of_the_suite(installed, tmp_path):
    arguments = ("--params", "params/quick.yaml", "--out", "mine", "--set", "steps=2", "--set", "size=32")
    metauas("train", *arguments, installed=installed, folder=tmp_path)
    settings = json.loads((tmp_path / "mine" / "settings.json").read_text())
    assert settings["steps"] == 2
    assert (tmp_path / "mine" / "checkpoint" / "model.safetensors").is_file()


def test_a_notebook_runs_without_a_checkout(installed, tmp_path):
    arguments = ("--params", "params/quick.yaml", "--only", "02_model", "--out", "mine")
    metauas("run", *arguments, installed=installed, folder=tmp_path)
    kernel_saw = json.loads((tmp_path / "mine" / "02_model.ipynb").read_text())
    assert kernel_saw["metadata"]["papermill"]["exception"] is None
    assert str(installed) in kernel_saw["metadata"]["papermill"]["input_path"]


#: Packages of the extras that a notebook must run without, where only `metauas[notebooks]` is installed.
OTHERS = ("datasets", "distributed", "dask", "pycocotools", "anomalib", "diffusers", "onnx", "onnxruntime", "anywidget")


@pytest.mark.parametrize(
    ("notebook", "parameters"),
    [("01_synthesis", "{count: 12, size: 48}"), ("04_eval", "{categories: [bottle], seeds: [1], size: 48}")],
)
def test_a_notebook_alone_in_an_empty_folder_runs_with_the_extra_notebooks(installed, tmp_path, notebook, parameters):
    """As on Colab, where a notebook is opened without its repository."""
    place, hooks = tmp_path / "content", tmp_path / "hooks"
    place.mkdir()
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(f"import sys; sys.modules.update(dict.fromkeys({OTHERS}))\n")
    shutil.copy(installed / "metauas" / "suite" / "notebooks" / f"{notebook}.ipynb", place)
    path = os.pathsep.join([str(hooks), str(installed)])
    environment = {**os.environ, "PYTHONPATH": path, "METAUAS_PACKAGE": str(installed / "metauas")}
    command = [sys.executable, "-m", "papermill", f"{notebook}.ipynb", "out.ipynb", "-k", "python3", "-y", parameters]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "runs" / "quick" / notebook / "metrics.json").read_text())


def test_the_suite_can_be_copied_to_be_changed(installed, tmp_path):
    told = metauas("notebooks", "suite", installed=installed, folder=tmp_path)
    assert told == "notebooks: suite/notebooks\n"
    assert (tmp_path / "suite" / "notebooks" / "03_train.ipynb").is_file()

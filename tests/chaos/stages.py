"""What is killed: each stage at its smallest, with what must be the same in the end however often it was."""

import os
import runpy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import datasets  # noqa: F401  # stages import it and timm on first use, so every fork would do so by itself
import nbformat
import timm  # noqa: F401
import torch
from nbformat.v4 import new_code_cell, new_notebook

from metauas.ablations.sweep import run_sweep
from metauas.cli import evaluation, segmentation
from metauas.eval.miniature import Counts, write_miniature
from metauas.files.images import write_png
from metauas.model import create_model, save_checkpoint
from metauas.seeding import rng_for
from metauas.synthesis import read_recipe, write_pairs
from metauas.synthesis.pictures.photographs import TRAINING_PHOTOGRAPHS, VALIDATION_PHOTOGRAPHS, load_segmented
from metauas.train import TrainSettings, train
from metauas.train.settings import Validation

PAIRS = read_recipe(size=32, count=24, shard_size=4, validation_share=0.25, pictures={"drawn_scenes": 1.0})
#: The sweep's tests have notebooks that do nothing but write what a sweep looks for.
TOYS = runpy.run_path(str(Path(__file__).parents[1] / "ablations" / "conftest.py"))
TRAINING = TrainSettings(size=32, steps=8, batch_size=2, validation=Validation(pairs=2, every=2))


@dataclass(frozen=True)
class Stage:
    """A stage under test.

    Attributes:
        run: does all of it in a folder, or what is left of it to do.
        results: patterns of the files that must come out the same to the byte.
        prepare: what is made once beforehand, in the parent of all the processes that are killed.
    """

    run: Callable[[Path], object]
    results: tuple[str, ...]
    prepare: Callable[[], object] = lambda: None


def whole(folder: Path, patterns: Iterable[str]) -> dict[str, bytes]:
    """Return the content of the files that are there, by name."""
    files = (path for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith(".tmp-"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _write_pairs(out: Path) -> None:
    write_pairs(PAIRS, out, workers=0)


def _train(out: Path) -> None:
    train(TRAINING, out=out)


def _segment_photographs() -> None:
    """Their segments take a second, and every killed process would look for them anew."""
    for name in (*TRAINING_PHOTOGRAPHS, *VALIDATION_PHOTOGRAPHS):
        load_segmented(name)


def _prepare_sweep(work: Path) -> None:
    """Write a suite of toy notebooks, and the parameter files of a sweep over a training and three evaluations."""
    (work / "notebooks").mkdir(parents=True)
    for stem, room in (("03_train", "TRAIN"), ("04_eval", "EVAL")):
        parameters = new_code_cell(TOYS[f"{room}_PARAMETERS"], metadata={"tags": ["parameters"]})
        cells = [parameters, *map(new_code_cell, TOYS[f"{room}_CELLS"])]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), work / "notebooks" / f"{stem}.ipynb")
    os.environ["METAUAS_NOTEBOOKS"] = str(work / "notebooks")
    (work / "prompt").mkdir()
    for name in ("nearest", "pool", "random"):
        (work / "prompt" / f"{name}.yaml").write_text(f"prompt: {name}\n")


def stages(work: Path) -> dict[str, Stage]:
    """Return all stages; what they read lies in ``work``."""

    def prepare_evaluation() -> None:
        write_miniature(work / "miniature", seed=0, size=32, counts=Counts(train=1, good=1, defect=1))
        save_checkpoint(create_model("lite"), work / "checkpoint")

    def evaluate(out: Path) -> None:
        given = {"prompt": "random", "shots": 1, "seeds": "1", "size": 32, "queries_at_once": 4, "device": "cpu"}
        given |= {"layout": "mvtec", "categories": "bottle,brick", "maps": True, "baselines": False, "official": False}
        evaluation.evaluate(data=str(work / "miniature"), checkpoint=str(work / "checkpoint"), out=out, **given)

    def prepare_segmentation() -> None:
        for index, name in enumerate(("normal", "queries/0", "queries/1", "queries/2", "queries/3")):
            write_png(work / "pictures" / f"{name}.png", rng_for(index, "chaos").random((32, 32, 3)))
        save_checkpoint(create_model("lite"), work / "checkpoint")

    def segment(out: Path) -> None:
        given = {"checkpoint": str(work / "checkpoint"), "size": 32, "threshold": 0.4, "device": "cpu"}
        pictures = work / "pictures"
        segmentation.segment([pictures / "queries"], [pictures / "normal.png"], out=out, single_pass=True, **given)

    def sweep(out: Path) -> None:
        files = sorted((work / "prompt").glob("*.yaml"))
        runs = run_sweep(files, out=out, seeds=[1], scale=None, workers=0)
        assert not (runs["status"] == "failed").any(), runs["error"].tolist()

    return {
        "synthesis": Stage(_write_pairs, ("*/*.parquet", "README.md", "skipped.json")),
        "training": Stage(_train, ("checkpoint/*", "history.csv"), prepare=_segment_photographs),
        "evaluation": Stage(evaluate, ("metrics.json", "metrics.csv", "maps/**/*.png"), prepare=prepare_evaluation),
        "segmentation": Stage(segment, ("scores.csv", "*_overlay.png"), prepare=prepare_segmentation),
        "sweep": Stage(sweep, ("**/metrics.json", "**/weights.txt"), prepare=lambda: _prepare_sweep(work)),
    }


def quiet() -> None:
    """Nothing is printed by what is killed, and nothing is drawn from the clock or the machine."""
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)
    assert rng_for(0).integers(10) == rng_for(0).integers(10)

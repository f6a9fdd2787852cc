"""Ablations: every variant of a factor under every seed, each a chain of notebooks in its own folder."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from jupyter_core.utils import ensure_event_loop
from tqdm import tqdm  # tqdm.auto ignores TQDM_DISABLE in notebooks

from metauas.ablations.parameters import read_parameters, split_parameters
from metauas.ablations.runner import NotebookFailedError, kernel_environment, run_notebook
from metauas.errors import InputError
from metauas.files import read_json, write_json
from metauas.notebooks import declared_parameters, notebooks_folder, read_cells

TRAIN, EVAL = "03_train", "04_eval"


@dataclass(frozen=True)
class Run:
    """One variant of one factor under one seed.

    Attributes:
        name: ``factor/variant``, the folder and stem of the parameter file, such as ``alignment/none``.
        seed: the seed of training, or of the prompt if nothing is trained.
        parameters: stem of each notebook of the chain, in order → what it is given (folders come when it
            runs).
    """

    name: str
    seed: int
    parameters: dict[str, dict[str, Any]]

    def folder(self, out: str | Path) -> Path:
        """Return the run folder ``<out>/<factor>/<variant>/seed-<seed>``, shared by all stages."""
        return Path(out).resolve() / self.name / f"seed-{self.seed}"

    def digest(self) -> str:
        """Return a hash of all resolved parameters, the package's code and its notebooks; folders do not count."""
        resolved = {stem: {**declared_parameters(_notebook(stem)), **v} for stem, v in self.parameters.items()}
        text = json.dumps([version("metauas"), _code(notebooks_folder()), resolved], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def factor_files(factor: str) -> list[Path]:
    """Return the parameter files of a factor, ``params/<factor>/*.yaml`` beside the notebooks, sorted by name.

    Raises:
        InputError: naming the factors that exist.
    """
    root = notebooks_folder().parent / "params"
    files = sorted((root / factor).glob("*.yaml"))
    if not files:
        known = sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
        raise InputError(f"no parameter file in {root / factor}; factors are {', '.join(known) or 'none'}")
    return files


def plan_runs(
    files: Sequence[str | Path], *, seeds: Sequence[int], overrides: Mapping[str, Any] | None = None
) -> list[Run]:
    """Return the runs of every file under every seed, checked, without running anything.

    A file with a key that only ``03_train`` declares is trained and then evaluated; any other is evaluated
    only. The seed goes to ``seed`` where that is declared and, if nothing is trained, to ``seeds`` of
    ``04_eval``.

    Args:
        files: parameter files ``<factor>/<variant>.yaml``.
        seeds: one run of each file per seed.
        overrides: parameters for every run whose notebooks declare them (such as steps or size); they win
            over the files.

    Raises:
        InputError: for a key that these two notebooks do not declare, a value of another type, an override
            that no run can use, the same factor and variant twice, or no file or no seed at all.
    """
    if not files or not seeds:
        raise InputError(f"an ablation needs parameter files and seeds; got {len(files)} files and {len(seeds)} seeds")
    pair = [_notebook(TRAIN), _notebook(EVAL)]
    common = split_parameters(overrides or {}, pair, source="overrides")
    runs = []
    for file in map(Path, files):
        own = split_parameters(read_parameters(file), pair, source=file)
        trains = bool(own[pair[0]].keys() - declared_parameters(pair[1]).keys())
        stages = pair if trains else pair[1:]
        given = {stage.stem: {**own[stage], **common[stage]} for stage in stages}
        name = f"{file.resolve().parent.name}/{file.stem}"
        runs += [Run(name=name, seed=seed, parameters=_with_seed(given, seed)) for seed in seeds]
    _check_distinct(runs)
    _check_used(overrides or {}, runs)
    return runs


def run_ablation(
    files: Sequence[str | Path],
    *,
    out: str | Path,
    seeds: Sequence[int],
    overrides: Mapping[str, Any] | None = None,
    workers: int = 1,
    timeout: int = 3600,
) -> pd.DataFrame:
    """Run every file under every seed and return one row a run, in the order of files and seeds.

    A run that is done already (same parameters and code, by its ``run.json``) is kept. A run that
    fails does not stop the others: it is in the table with its error, and the caller decides.

    Args:
        files: parameter files ``<factor>/<variant>.yaml``, see ``plan_runs``.
        out: each run writes into ``<out>/<factor>/<variant>/seed-<seed>/``.
        seeds: one run of each file per seed.
        overrides: parameters for every run whose notebooks declare them.
        workers: runs at the same time; they share the cores (OMP_NUM_THREADS, unless it is set already).
        timeout: seconds that one cell may take.

    Returns:
        Columns factor, variant, seed, status (``done``, ``kept`` or ``failed``), seconds, error, folder.

    Raises:
        InputError: before any work, see ``plan_runs``, or if ``workers`` is below 1.
    """
    if workers < 1:
        raise InputError(f"workers={workers} must be at least 1")
    runs = plan_runs(files, seeds=seeds, overrides=overrides)
    execute = partial(_execute, out=out, timeout=timeout)
    threads = max(1, (os.cpu_count() or 1) // workers)
    with (
        kernel_environment(OMP_NUM_THREADS=str(threads), TQDM_DISABLE="1"),
        ThreadPoolExecutor(workers) as pool,
    ):
        rows = list(tqdm(pool.map(execute, runs), total=len(runs), desc="runs"))
    return pd.DataFrame(rows)


def _execute(run: Run, *, out: str | Path, timeout: int) -> dict[str, Any]:
    """Run one chain unless it is done already, and return its row of the table."""
    start = time.perf_counter()
    try:
        status = "kept" if _is_done(run, out) else _run_chain(run, out=out, timeout=timeout)
        error = ""
    except (NotebookFailedError, OSError) as failure:
        status, error = "failed", str(failure)
    finally:
        ensure_event_loop().close()  # jupyter makes one for each thread and leaves it open
    factor, variant = run.name.split("/")
    seconds = time.perf_counter() - start
    outcome = {"status": status, "seconds": seconds, "error": error, "folder": str(run.folder(out))}
    return {"factor": factor, "variant": variant, "seed": run.seed, **outcome}


def _run_chain(run: Run, *, out: str | Path, timeout: int) -> str:
    folder = run.folder(out)
    for stale in (folder / "run.json", folder / EVAL / "metrics.json"):
        stale.unlink(missing_ok=True)  # older numbers must not pass for this run's if it fails
    for stem, given in run.parameters.items():
        places = {"run_dir": str(folder)}
        if stem == EVAL and TRAIN in run.parameters:
            places["checkpoint"] = str(folder / TRAIN / "checkpoint")
        notebook = _notebook(stem)
        run_notebook(notebook, output=folder / notebook.name, parameters={**given, **places}, timeout=timeout)
    record = {"name": run.name, "seed": run.seed, "version": version("metauas"), "digest": run.digest()}
    write_json(folder / "run.json", {**record, "parameters": run.parameters})
    return "done"


def _is_done(run: Run, out: str | Path) -> bool:
    record = run.folder(out) / "run.json"
    return record.is_file() and read_json(record).get("digest") == run.digest()


@cache
def _code(notebooks: Path) -> str:
    """Return a hash of the package's source files and the notebooks' code, so that changed code is run anew."""
    package = Path(__file__).parents[1]
    sources = [file.read_bytes() for file in sorted(package.rglob("*.py"))]
    cells = [cell for stem in (TRAIN, EVAL) for cell in read_cells(notebooks / f"{stem}.ipynb")]
    sources += [cell.source.encode() for cell in cells if cell.kind == "code"]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


def _notebook(stem: str) -> Path:
    return notebooks_folder() / f"{stem}.ipynb"


def _with_seed(given: Mapping[str, dict[str, Any]], seed: int) -> dict[str, dict[str, Any]]:
    seeds = {"seed": seed} if TRAIN in given else {"seed": seed, "seeds": [seed]}
    declared = {stem: declared_parameters(_notebook(stem)) for stem in given}
    return {
        stem: {**values, **{key: value for key, value in seeds.items() if key in declared[stem]}}
        for stem, values in given.items()
    }


def _check_distinct(runs: Sequence[Run]) -> None:
    names = [(run.name, run.seed) for run in runs]
    for name, seed in names:
        if names.count((name, seed)) > 1:
            raise InputError(f"{name} with seed {seed} is asked for twice; both would write to the same folder")


def _check_used(overrides: Mapping[str, Any], runs: Sequence[Run]) -> None:
    used = {key for run in runs for given in run.parameters.values() for key in given}
    for key in overrides.keys() - used:
        raise InputError(f"the override {key!r} would have no effect: none of these runs trains, which alone uses it")

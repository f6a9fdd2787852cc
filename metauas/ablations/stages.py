"""One stage of a sweep, on a worker: run its notebook, unless its results exist already."""

import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop

from metauas.ablations.notebooks import notebook_of
from metauas.ablations.plan import EVAL, RECORD, TRAIN, Stage, code_digest
from metauas.ablations.runner import NotebookFailedError, kernel_environment, run_notebook
from metauas.cluster import distributed
from metauas.files import read_json, write_json
from metauas.files.locks import clear_unfinished

#: The result by which a finished stage is recognised.
RESULTS = {TRAIN: f"{TRAIN}/checkpoint", EVAL: f"{EVAL}/metrics.json"}

STARTED = "metauas-sweep-started"  # Dask topic of the stages that workers begin

DONE, KEPT, FAILED, SKIPPED = "done", "kept", "failed", "skipped"


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        status: ``done``, ``kept`` (done before), ``failed``, or ``skipped`` because the stage that it needs failed.
        seconds: its duration.
        error: notebook, cell and error of a failure.
    """

    status: str
    seconds: float = 0.0
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return self.status in (FAILED, SKIPPED)


def do_stage(
    stage: Stage, before: Outcome | None, *, out: str, timeout: int | None, tell: Callable[[str], None] | None = None
) -> Outcome:
    """Run a stage and return its outcome; an error in the notebook is part of the outcome, not raised.

    Args:
        stage: the stage.
        before: the outcome of the stage that it needs.
        out: the sweep's folder, which all workers see.
        timeout: as in ``run_notebook``.
        tell: called with the stage's folder when it starts.
    """
    if before is not None and before.failed:
        _clear(stage, Path(out) / stage.folder)
        return Outcome(SKIPPED, error=before.error)
    if tell is not None:
        tell(stage.folder)
    start = time.perf_counter()
    try:
        _check_place(stage, Path(out))
        if is_done(stage, out):
            return Outcome(KEPT)
        _run(stage, Path(out), timeout=timeout)
    except (NotebookFailedError, OSError, ValueError) as error:
        return Outcome(FAILED, time.perf_counter() - start, str(error))
    finally:
        ensure_event_loop().close()  # jupyter makes one for each thread and leaves it open
    return Outcome(DONE, time.perf_counter() - start)


def do_and_tell(stage: Stage, before: Outcome | None, **work: Any) -> Outcome:
    """Run a stage on a Dask worker, and tell the sweep when it starts."""
    worker = distributed().get_worker()
    return do_stage(stage, before, tell=lambda folder: worker.log_event(STARTED, folder), **work)


def is_done(stage: Stage, out: str | Path) -> bool:
    """Return whether a stage has results, and a record of the same parameters and code."""
    folder = Path(out) / stage.folder
    record = folder / RECORD
    if not (record.is_file() and (folder / RESULTS[stage.notebook]).exists()):
        return False
    return bool(read_json(record).get("digest") == stage.digest)


def _check_place(stage: Stage, out: Path) -> None:
    where = f"the worker on {socket.gethostname()}"
    if not out.is_dir():
        raise OSError(f"{where} does not see the folder {out}; give one that is shared by all machines")
    if code_digest((TRAIN, EVAL)) != stage.code:
        raise OSError(f"{where} has another version of the code or the notebooks; bring both to the same")


def _run(stage: Stage, out: Path, *, timeout: int | None) -> None:
    folder = out / stage.folder
    _clear(stage, folder)
    places = {"run_dir": str(folder)}
    if stage.after is not None:
        places["checkpoint"] = str(out / stage.after.folder / RESULTS[TRAIN])
    notebook, parameters = notebook_of(stage.notebook), {**stage.parameters, **places}
    start = time.perf_counter()
    with kernel_environment(TQDM_DISABLE="1"):
        run_notebook(notebook, output=folder / notebook.name, parameters=parameters, timeout=timeout)
    record = {"version": version("metauas"), "seconds": time.perf_counter() - start, **asdict(stage)}
    write_json(folder / RECORD, record)


def _clear(stage: Stage, folder: Path) -> None:
    """Remove the results of an earlier run, which would pass for this one's if it fails; a training keeps its state."""
    (folder / RECORD).unlink(missing_ok=True)
    if stage.notebook == EVAL:
        shutil.rmtree(folder / EVAL, ignore_errors=True)
    clear_unfinished(folder)

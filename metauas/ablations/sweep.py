"""Sweeps: every variant with every seed, as papermill runs on a Dask cluster; finished stages are not repeated."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.ablations.display import Board, show_board
from metauas.ablations.plan import Run, Stage, plan_runs
from metauas.ablations.stages import FAILED, KEPT, STARTED, Outcome, do_and_tell, do_stage, is_done
from metauas.cluster import Client, check_gpu, distributed, error_of, open_client
from metauas.errors import InputError
from metauas.files.locks import alone_in

_TICK = 0.5  # seconds between looks at the cluster

Ended = Iterator[tuple[Stage, Outcome]]


def run_sweep(
    files: Sequence[str | Path],
    *,
    out: str | Path,
    seeds: Sequence[int],
    scale: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    gpu: bool = False,
    timeout: int | None = None,
) -> pd.DataFrame:
    """Run every file with every seed and return one row for each run, in the order of files and seeds.

    Finished stages (same parameters and code, by their ``run.json``) are kept, so that a killed sweep continues. A
    failed run does not stop the others; its row has the error. Terminal or notebook show the progress.

    Args:
        files: parameter files ``<factor>/<variant>.yaml``.
        out: each run writes into ``<out>/<factor>/<variant>/seed-<seed>/``, trainings into ``<out>/trained/``.
        seeds: one run of each file per seed.
        scale: parameters of all runs, which files override: a name in ``params/scales`` or a file.
        overrides: parameters of all runs whose notebooks declare them, over those of the files.
        scheduler: address of a Dask cluster; its workers must see ``out`` and have the same code.
        workers: processes on this machine, by default one per core. They share the cores through OMP_NUM_THREADS,
            unless it is set. 0 runs one stage after the other in this process, without Dask.
        gpu: each stage takes one unit of a worker's resource ``GPU``.
        timeout: seconds that one cell may take; None sets no limit, since a whole training is one cell.

    Returns:
        Columns factor, variant, seed, status (``done``, ``kept`` or ``failed``), seconds, error, folder.

    Raises:
        InputError: before any work, see ``plan_runs``; another sweep is writing into ``out``; the cluster is missing
            or has no GPU; the number of workers is negative or given for an existing cluster.
    """
    if workers is not None and (workers < 0 or scheduler is not None):
        raise InputError(f"workers={workers}: give a number from 0 up, and none together with a scheduler")
    runs = plan_runs(files, seeds=seeds, scale=scale, overrides=overrides)
    with alone_in(Path(out).resolve()) as folder:
        return _swept(runs, folder, scheduler=scheduler, workers=workers, gpu=gpu, timeout=timeout)


def _swept(runs: Sequence[Run], folder: Path, *, timeout: int | None, **cluster: Any) -> pd.DataFrame:
    outcomes = {run.evaluation.folder: Outcome(KEPT) for run in runs if is_done(run.evaluation, folder)}
    stages = [stage for run in runs if run.evaluation.folder not in outcomes for stage in run.stages]
    # without repetitions; each stage precedes those that need it
    left = list({stage.folder: stage for stage in stages}.values())
    work = {"out": str(folder), "timeout": timeout}
    with show_board(runs, outcomes) as board, _doing(left, work, board, **cluster) as ended:
        for stage, outcome in ended:
            outcomes[stage.folder] = outcome
            board.ended(stage, outcome)
    return pd.DataFrame([_row(run, outcomes, folder) for run in runs])


@contextmanager
def _doing(
    stages: Sequence[Stage],
    work: Mapping[str, Any],
    board: Board,
    *,
    scheduler: str | None,
    workers: int | None,
    gpu: bool,
) -> Iterator[Ended]:
    """Yield the stages with their outcomes as they end."""
    if workers == 0 or not stages:
        yield _do_here(stages, work, board)
        return
    here = min(workers or os.cpu_count() or 1, len(stages))
    count = None if scheduler is not None else 1 if gpu and workers is None else here
    threads = max(1, (os.cpu_count() or 1) // (count or 1))
    environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    with (
        open_client(scheduler=scheduler, workers=count, gpu=gpu, environment=environment) as client,
        closing(_do_on_cluster(stages, work, board, client=client, gpu=gpu)) as ended,  # while the client is there
    ):
        yield ended


def _do_here(stages: Sequence[Stage], work: Mapping[str, Any], board: Board) -> Ended:
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has an event loop already
        for stage in stages:
            task = thread.submit(do_stage, stage, _before(stage, outcomes), tell=board.started, **work)
            outcomes[stage.folder] = task.result()
            yield stage, outcomes[stage.folder]


def _do_on_cluster(
    stages: Sequence[Stage], work: Mapping[str, Any], board: Board, *, client: Client, gpu: bool
) -> Generator[tuple[Stage, Outcome], None, None]:
    """Submit all stages at once: Dask begins each when the one that it needs has ended, by their priorities."""
    if gpu:
        check_gpu(client)
    resources = {"GPU": 1} if gpu else None
    futures: dict[str, Any] = {}
    for stage, priority in zip(stages, priorities(stages), strict=True):
        futures[stage.folder] = client.submit(
            do_and_tell, stage, _before(stage, futures), **work, pure=False, resources=resources, priority=priority
        )
    stage_of = {futures[stage.folder].key: stage for stage in stages}
    client.subscribe_topic(STARTED, lambda event: board.started(event[1]))
    try:
        for future in _ended(list(futures.values()), on_tick=board.redraw):
            error = error_of(future)
            yield stage_of[future.key], future.result() if error is None else Outcome(FAILED, error=str(error))
    finally:
        client.unsubscribe_topic(STARTED)
        client.cancel([future for future in futures.values() if not future.done()])


def priorities(stages: Sequence[Stage]) -> list[int]:
    """Return Dask's priority of each stage, higher before lower, so that no worker is idle at the end.

    A training that many runs share comes first. Their evaluations come last, because they are short. All other stages
    keep their order.
    """
    waiting = Counter(stage.after.folder for stage in stages if stage.after is not None)
    ahead = {training: runs - 1 for training, runs in waiting.items()}
    behind = [0 if stage.after is None else ahead[stage.after.folder] for stage in stages]
    return [ahead.get(stage.folder, 0) - last for stage, last in zip(stages, behind, strict=True)]


def _before(stage: Stage, found: Mapping[str, Any]) -> Any:
    return None if stage.after is None else found[stage.after.folder]


def _ended(futures: Sequence[Any], *, on_tick: Callable[[], None]) -> Iterator[Any]:
    pending = set(futures)
    while pending:
        try:
            distributed().wait(pending, timeout=_TICK, return_when="FIRST_COMPLETED")
        except TimeoutError:
            on_tick()
        ended = {future for future in pending if future.done()}
        yield from ended
        pending -= ended


def _row(run: Run, outcomes: Mapping[str, Outcome], folder: Path) -> dict[str, Any]:
    factor, variant = run.name.split("/")
    own = [outcomes[stage.folder] for stage in run.stages if stage.folder in outcomes]
    last = own[-1]
    return {
        "factor": factor,
        "variant": variant,
        "seed": run.seed,
        "status": FAILED if last.failed else last.status,
        "seconds": sum(outcome.seconds for outcome in own),
        "error": last.error,
        "folder": str(folder / run.evaluation.folder),
    }

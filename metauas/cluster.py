"""Run many tasks: in this process, on a Dask cluster of this machine's cores, or on an existing cluster."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from metauas.errors import InputError
from metauas.files import read_json

PATIENCE = "10s"  # for a scheduler's answer
#: By default Dask's workers return freed memory to the system at once, which costs up to a third of the time of steps
#: on small images. The profile, sampled 100 times a second, serves the dashboard alone.
_CONFIGURATION = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
}
# a terminal sends Ctrl-C to every process, but the client ends the workers
_UNINTERRUPTED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"

Task = TypeVar("Task")
Material = TypeVar("Material")
Outcome = tuple[Task, BaseException | None]
Client = Any  # distributed.Client, imported only where it is used: it takes seconds


def run_here(
    work: Callable[[Task, Material], None], tasks: Sequence[Task], *, prepare: Callable[[], Material]
) -> Iterator[Outcome[Task]]:
    """Run one task after the other in this process; yield each with its error, or None."""
    material = prepare()
    for task in tasks:
        error: BaseException | None = None
        try:
            work(task, material)
        except Exception as raised:
            error = raised
        yield task, error


def run_on_cluster(
    work: Callable[[Task, Material], None],
    tasks: Sequence[Task],
    *,
    prepare: Callable[[], Material],
    client: Client,
    gpu: bool = False,
) -> Iterator[Outcome[Task]]:
    """Run the tasks on a cluster; yield each as it ends with its error, or None. Tasks of a lost worker run again.

    Args:
        work: function of a task and the material; the workers must be able to import it.
        tasks: its first arguments.
        prepare: makes the material, once; workers pass it on to each other, and make it again if it is lost.
        client: of the cluster.
        gpu: each task waits for one unit of a worker's resource ``GPU``.

    Raises:
        InputError: ``gpu``, and no worker of the cluster offers one.
        Exception: what ``prepare`` raises.
    """
    if gpu:
        check_gpu(client)
    resources = {"GPU": 1} if gpu else None
    material = client.submit(prepare, pure=False, resources=resources)
    for ready in distributed().as_completed([material]):
        if (error := error_of(ready)) is not None:
            raise error
    futures = client.map(work, tasks, [material] * len(tasks), pure=False, resources=resources)
    task_of = {future.key: task for future, task in zip(futures, tasks, strict=True)}
    try:
        for future in distributed().as_completed(futures):
            yield task_of[future.key], error_of(future)
    finally:
        client.cancel([future for future in futures if not future.done()])


def error_of(future: Any) -> BaseException | None:
    """Return the error of a future that has ended, or None."""
    # Ctrl-C cannot cleanly interrupt the round trip that exception() makes even for a finished future
    if future.status == "finished":
        return None
    error = future.exception() or RuntimeError(f"the cluster gave it up ({future.status})")
    if isinstance(error, distributed().scheduler.KilledWorker):
        return InputError(
            f"all workers that tried died over it ({error.last_worker.address} at last), mostly for want of memory; "
            "start fewer of them on a machine, and those of your own with `dask worker --memory-limit 0`"
        )
    return error


@contextmanager
def open_client(
    *,
    scheduler: str | None,
    workers: int | None = None,
    gpu: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Client]:
    """Yield the client of an existing scheduler, else of a cluster on this machine that ends with the block.

    The cluster here has one thread a process, one process a core (with ``gpu``: one process, which offers one GPU),
    no dashboard, and cannot be reached from other machines.

    Args:
        scheduler: address of an existing scheduler, such as ``tcp://10.0.0.1:8786``, or the file that `dask scheduler
            --scheduler-file` wrote.
        workers: processes of the cluster here; None fits them to the machine.
        gpu: the cluster here offers the resource ``GPU``.
        environment: variables of the processes here; by default Dask gives each one thread (``OMP_NUM_THREADS``).

    Raises:
        InputError: there is no scheduler at that address or in that file; or ``gpu`` with several workers here, which
            would share one GPU.
    """
    if gpu and scheduler is None and (workers or 1) > 1:
        raise InputError(
            f"{workers} workers here would share one GPU; give one, or start `dask worker` for each GPU by yourself, "
            "with CUDA_VISIBLE_DEVICES, and name its scheduler (docs/cluster.md)"
        )
    if scheduler is not None:
        with _connect(scheduler) as client:
            yield client
        return
    with (
        _local_cluster(workers=workers, gpu=gpu, environment=environment) as cluster,
        distributed().Client(cluster) as client,
    ):
        yield client


def _local_cluster(*, workers: int | None, gpu: bool, environment: Mapping[str, str] | None) -> Any:
    package = distributed()
    import dask

    with dask.config.set(_CONFIGURATION):
        return package.LocalCluster(
            n_workers=workers or (1 if gpu else None),
            threads_per_worker=1,
            memory_limit=0,  # a share of the machine's for each would kill those that read a large data set
            protocol="tcp://",
            host="127.0.0.1",
            # the scheduler serves its metrics even without a dashboard: not to others, and at any free port
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.ERROR,  # that a worker takes long to end is no warning to anybody
            preload=[_UNINTERRUPTED],
            env=dict(environment or {}),
            **({"resources": {"GPU": 1}} if gpu else {}),
        )


def _connect(scheduler: str) -> Client:
    try:
        return distributed().Client(_address(scheduler), timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler!r} ({error}); give its address as `dask scheduler` prints it, "
            "such as tcp://10.0.0.1:8786, or none for a cluster on this machine"
        ) from error


def _address(scheduler: str) -> str:
    if not Path(scheduler).is_file():
        return scheduler
    found = read_json(scheduler)
    if not isinstance(found, dict) or not isinstance(found.get("address"), str):
        raise InputError(f"{scheduler} names no scheduler; give the file that `dask scheduler --scheduler-file` wrote")
    return found["address"]


def distributed() -> Any:
    """Import Dask's distributed package, which takes seconds.

    Raises:
        InputError: it is not installed.
    """
    try:
        import distributed as package
    except ImportError as error:
        raise InputError(f"Dask is missing ({error}); install it with `pip install 'metauas[data]'`") from error
    return package


def check_gpu(client: Client) -> None:
    """Check that a worker offers the resource ``GPU``, or that none is there yet.

    Raises:
        InputError: saying how to start workers that do.
    """
    workers = client.scheduler_info()["workers"].values()
    if workers and not any(worker["resources"].get("GPU") for worker in workers):
        raise InputError("no worker of the cluster offers a GPU; start workers with `dask worker --resources GPU=1`")

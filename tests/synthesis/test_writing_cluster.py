"""Written pairs on a Dask cluster: one of threads for what any cluster does, one of processes for what can be lost."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import distributed
import psutil
import pytest

from metauas.cluster import error_of, open_client, run_on_cluster
from metauas.errors import InputError
from metauas.synthesis import ShardsFailedError, read_recipe, write_pairs

pytestmark = pytest.mark.long
SMALL = {"size": 32, "count": 24, "shard_size": 4, "validation_share": 0.25}
SETTINGS = read_recipe(**SMALL)


def shards(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in Path(folder).rglob("*.parquet")}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    write_pairs(SETTINGS, folder, workers=0)
    return shards(folder)


@pytest.fixture
def cluster():
    """Return a function that starts a cluster of threads in this process."""
    started = []

    def start(workers, **options):
        served = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
        given = {"threads_per_worker": 1, "memory_limit": 0, "host": "127.0.0.1", "scheduler_kwargs": served, **options}
        started.append(distributed.LocalCluster(n_workers=workers, processes=False, protocol="tcp://", **given))
        return started[-1].scheduler_address

    yield start
    for each in started:
        each.close()


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_writes_the_same_bytes(cluster, expected, tmp_path, workers):
    summary = write_pairs(SETTINGS, tmp_path, scheduler=cluster(workers))
    assert shards(tmp_path) == expected
    assert summary["last run"]["pairs"] == 24


def test_a_shard_that_fails_is_told_in_the_end_and_done_by_the_next_run(cluster, expected, tmp_path, monkeypatch):
    from metauas.synthesis.written import run

    def failing(shard, synthesizers, **given):
        if shard.number == 1:
            raise RuntimeError(f"no room for {shard.name}")
        write_shard(shard, synthesizers, **given)

    write_shard, scheduler = run.write_shard, cluster(1)
    monkeypatch.setattr(run, "write_shard", failing)
    with pytest.raises(ShardsFailedError, match=r"2 of 7 shards(.|\n)*no room for train/pairs-00001(.|\n)*validation"):
        write_pairs(SETTINGS, tmp_path, scheduler=scheduler)
    assert len(shards(tmp_path)) == 5
    monkeypatch.setattr(run, "write_shard", write_shard)
    assert write_pairs(SETTINGS, tmp_path, scheduler=scheduler)["last run"]["pairs"] == 6
    assert shards(tmp_path) == expected


def test_what_cannot_be_prepared_is_raised_as_it_is(cluster, tmp_path):
    settings = read_recipe(**SMALL, photographs=str(tmp_path))
    with pytest.raises(InputError, match="holds no image"):
        write_pairs(settings, tmp_path / "out", scheduler=cluster(1))
    assert not shards(tmp_path)


def test_a_scheduler_that_ends_loses_its_shards_but_no_time(cluster, tmp_path, monkeypatch):
    def ending(futures):
        for future in as_completed(futures):
            yield future
            if len(shards(tmp_path)) > 0:
                future.client.cancel(list(futures), force=True)

    as_completed = distributed.as_completed
    monkeypatch.setattr(distributed, "as_completed", ending)
    with pytest.raises(ShardsFailedError, match=r"the cluster gave it up \(cancelled\)"):
        write_pairs(SETTINGS, tmp_path, scheduler=cluster(1))


def test_a_gpu_is_asked_for(cluster, expected, tmp_path):
    with pytest.raises(InputError, match="--resources GPU=1"):
        write_pairs(SETTINGS, tmp_path, scheduler=cluster(1), gpu=True)
    write_pairs(SETTINGS, tmp_path, scheduler=cluster(1, resources={"GPU": 1}), gpu=True)
    assert shards(tmp_path) == expected


def test_several_workers_here_cannot_share_a_gpu(tmp_path):
    with pytest.raises(InputError, match="8 workers here would share one GPU; give one, or start `dask worker` for"):
        write_pairs(SETTINGS, tmp_path, workers=8, gpu=True)


def test_workers_that_die_over_a_task_are_told_in_words():
    died = distributed.scheduler.KilledWorker("prepare", SimpleNamespace(address="tcp://127.0.0.1:5"), 3)
    error = error_of(SimpleNamespace(status="error", exception=lambda: died))
    assert isinstance(error, InputError)
    assert "all workers that tried died over it (tcp://127.0.0.1:5 at last), mostly for want of memory; " in str(error)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "somewhere"])
def test_a_scheduler_that_does_not_answer_is_named(address, tmp_path, monkeypatch):
    monkeypatch.setattr("metauas.cluster.PATIENCE", "0.2s")
    with pytest.raises(InputError, match=rf"no Dask scheduler answers at '{address}'"):
        write_pairs(SETTINGS, tmp_path, scheduler=address)


def test_a_scheduler_is_found_by_its_file(cluster, expected, tmp_path):
    known = tmp_path / "dask.json"
    known.write_text(json.dumps({"address": cluster(1), "id": "Scheduler"}))
    write_pairs(SETTINGS, tmp_path / "pairs", scheduler=str(known))
    assert shards(tmp_path / "pairs") == expected


@pytest.mark.parametrize("content", ["[]", "{}", '{"address": 3}'])
def test_a_file_of_no_scheduler_is_named(content, tmp_path):
    known = tmp_path / "dask.json"
    known.write_text(content)
    with pytest.raises(InputError, match="names no scheduler; give the file that"):
        write_pairs(SETTINGS, tmp_path / "pairs", scheduler=str(known))


# --- processes


@pytest.fixture(scope="module")
def processes():
    """A client of the cluster that `metauas synthesize` makes on this machine."""
    with open_client(scheduler=None, workers=2) as client:
        yield client


def test_nothing_listens_to_other_machines(processes):
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [c.laddr for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 3, "a scheduler and two workers"
    assert {address.ip for address in listening} == {"127.0.0.1"}
    workers = processes.scheduler_info()["workers"].values()
    assert {(info["nthreads"], info["memory_limit"]) for info in workers} == {(1, 0)}


def configuration():
    import dask

    return os.environ.get("MALLOC_TRIM_THRESHOLD_"), dask.config.get("distributed.worker.profile.enabled")


def test_workers_keep_their_memory_and_are_not_looked_at(processes):
    assert set(processes.run(configuration).values()) == {(None, False)}


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_the_shards_of_a_lost_worker_are_done_again(processes, expected, tmp_path):
    def lose_one():
        while not shards(tmp_path):
            time.sleep(0.005)
        pids.append(next(iter(processes.cluster.workers.values())).pid)
        os.kill(pids[0], signal.SIGKILL)

    pids = []
    thread = threading.Thread(target=lose_one)
    thread.start()
    write_pairs(SETTINGS, tmp_path, scheduler=processes.scheduler.address)
    thread.join()
    assert shards(tmp_path) == expected
    assert not psutil.pid_exists(pids[0]) or pids[0] not in {w.pid for w in processes.cluster.workers.values()}
    assert not list(tmp_path.glob("*/.tmp-*"))


def test_outcomes_come_with_the_task_s_own_error(processes):
    outcomes = dict(run_on_cluster(divide, [0, 2], prepare=one, client=processes))
    assert outcomes[2] is None
    assert isinstance(outcomes[0], ZeroDivisionError)


def one():
    return 1.0


def divide(task, material):
    material / task


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGKILL"])
def test_broken_off_it_leaves_whole_shards_and_no_process(expected, tmp_path, sent):
    # tests that run in the background inherit an ignored Ctrl-C, a person's terminal does not
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = f"{listen}; from metauas.cli import app; app()"
    config = tmp_path / "small.yaml"
    config.write_text("\n".join(f"{name}: {value}" for name, value in {**SMALL, "count": 4000}.items()))
    arguments = ["synthesize", "--config", str(config), "--out", str(tmp_path / "out"), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not shards(tmp_path):
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    # the terminal sends Ctrl-C to all processes of the command
    os.killpg(process.pid, signal.SIGINT) if sent == "SIGINT" else process.kill()
    said = process.communicate(timeout=60)[1]
    assert not psutil.wait_procs(children, timeout=30)[1]
    found = shards(tmp_path / "out")
    assert 0 < len(found) < 1000
    if sent == "SIGINT":
        assert process.returncode == 130
        assert "the same command continues from there" in said
        assert "Traceback" not in said
        assert not list((tmp_path / "out").glob("*/.tmp-*"))

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from metauas.errors import InputError
from metauas.files import UNFINISHED, write_text
from metauas.files.locks import LOCK_NAME, alone_in

HOLD = """
import sys, time
from metauas.files.locks import alone_in
with alone_in(sys.argv[1]):
    print("in", flush=True)
    for _ in range(600):  # a signal just before one long sleep would wait for its end
        time.sleep(0.1)
"""


def holding(folder):
    """Start a process that is alone in the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_second_run_is_refused_until_the_first_has_ended_in_whatever_way(tmp_path, end):
    with holding(tmp_path / "run") as process:
        with pytest.raises(InputError, match=r"another run is writing into .*run; wait for it, or give"):
            alone_in(tmp_path / "run").__enter__()
        process.send_signal(getattr(signal, end))
        process.wait()
        with alone_in(tmp_path / "run"):
            pass


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path):
    whole = write_text(tmp_path / "maps" / "a.txt", "whole")
    (tmp_path / "maps" / f"{UNFINISHED}x.txt").write_text("ha")
    (tmp_path / f"{UNFINISHED}y").write_text("ha")
    with alone_in(tmp_path):
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / LOCK_NAME, whole]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [whole]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_worker_that_outlives_its_run_does_not_hold_the_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    here, go = context.Event(), context.Event()

    def work():
        here.set()
        go.wait()

    with alone_in(tmp_path):
        worker = context.Process(target=work)
        worker.start()
        assert here.wait(timeout=60)  # a fork returns to its parent before the child has run a line
    with alone_in(tmp_path):  # the worker is still there
        assert worker.is_alive()
    go.set()
    worker.join()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(InputError, match=r"folder .*/run cannot be made or locked \(Not a directory\); choose another"):
        alone_in(tmp_path / "file" / "run").__enter__()


def test_nothing_stays_in_a_folder_that_was_let_go(tmp_path):
    with alone_in(tmp_path / "run") as folder:
        assert folder == tmp_path / "run"
    assert list(Path(folder).iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_file_system_without_locks_is_gone_on_with(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with alone_in(tmp_path / "run") as folder:
        assert folder.is_dir()

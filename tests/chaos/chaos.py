"""Kills every stage at random moments and starts it again: ``python tests/chaos/chaos.py --kills 50 --work FOLDER``.

Every start is a fork of this process, which has everything imported, so that a kill costs no more than what the stage
did until then. Of two kills one strikes just before a change of the disk (opening a file to write, renaming, removing,
making a folder), where it could leave something half done, and one after some time of the processor. After each, every
file with a name of its own must be whole; the next start goes on with what is there, and whenever a stage gets to its
end, what comes out must be the same to the byte as if nothing had happened.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from stages import Stage, quiet, stages, whole

from metauas.files.images import read_image
from metauas.model.weights.checkpoint import read_tensors

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


class Counter:
    """Counts changes of the disk, and ends the process before one of them as SIGKILL does."""

    def __init__(self, *, fatal: int = 0) -> None:
        self.count, self.fatal = 0, fatal
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in _CHANGES:
            self.count += 1
            if self.count == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def start(stage: Stage, out: Path, *, change: int = 0, seconds: float = 0.0) -> tuple[int, int, float]:
    """Run a stage in a child that dies before the ``change``-th change or after ``seconds``; 0 lets it live.

    Returns:
        The child's exit status (negative: the signal that ended it), its changes of the disk, and its seconds.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _live(stage, out, writer, change=change, seconds=seconds)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    changes, used = json.loads(told) if told else (0, 0.0)
    return status, changes, used


def _live(stage: Stage, out: Path, writer: int, *, change: int, seconds: float) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.dont_write_bytecode = True  # so that changes of the disk are the stage's own
        counter, begin = Counter(fatal=change), time.process_time()
        if seconds:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process on the spot
            signal.setitimer(signal.ITIMER_PROF, seconds)
        stage.run(out)
        os.write(writer, json.dumps([counter.count, time.process_time() - begin]).encode())
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def half_written(folder: Path) -> list[str]:
    """Return the files with a name of their own that cannot be read as what they are."""
    wrong = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(".tmp-"):
            try:
                _READ.get(path.suffix, Path.read_text)(path)
            except Exception as error:  # whatever a half-written file makes of its reader
                wrong.append(f"{path}: {error!r}")
    return wrong


_READ: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".ipynb": lambda path: json.loads(path.read_text()),
    ".csv": pd.read_csv,
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".png": read_image,
    ".parquet": pq.read_table,
    ".safetensors": read_tensors,
}


def torment(stage: Stage, *, kills: int, folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Kill a stage so often, and return what was found."""
    stage.prepare()
    status, changes, seconds = start(stage, folder / "unbroken")
    if status:
        raise RuntimeError(f"the stage itself ends with {status}")
    expected = whole(folder / "unbroken", stage.results)
    found: dict[str, Any] = {"kills": 0, "ends": 0, "changes": changes, "seconds": seconds, "bad": []}
    out = folder / "tormented"
    while found["kills"] < kills:
        by_change = {"change": int(rng.integers(1, changes + 1))}
        by_time = {"seconds": float(rng.uniform(0.01, max(seconds, 0.02)))}
        status, _, _ = start(stage, out, **(by_change if found["kills"] % 2 else by_time))
        found["bad"] += half_written(out) if out.exists() else []
        if status < 0:
            found["kills"] += 1
        else:
            _check_end(stage, out, status, expected, found)
    status, _, _ = start(stage, out)
    _check_end(stage, out, status, expected, found)
    return found


def _check_end(stage: Stage, out: Path, status: int, expected: dict[str, bytes], found: dict[str, Any]) -> None:
    """A stage that got to its end must have the expected results and no litter; then it begins anew."""
    found["ends"] += 1
    results = whole(out, stage.results)
    if status:
        found["bad"].append(f"it ended with {status} after {found['kills']} kills")
    if results != expected:
        differ = [name for name in {**expected, **results} if expected.get(name) != results.get(name)]
        found["bad"].append(f"after {found['kills']} kills these differ: {differ}")
    found["bad"] += [f"litter: {path}" for path in out.rglob(".tmp-*")]
    shutil.rmtree(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each stage")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--stages", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    quiet()
    results = {}
    for number, (name, stage) in enumerate(stages(given.work).items()):
        if not given.stages or name in given.stages:
            rng = np.random.default_rng([given.seed, number])
            results[name] = torment(stage, kills=given.kills, folder=given.work / name, rng=rng)
            print(name, json.dumps(results[name]), flush=True)
            (given.work / "results.json").write_text(json.dumps(results))
    sys.exit(any(found["bad"] for found in results.values()))


if __name__ == "__main__":
    main()

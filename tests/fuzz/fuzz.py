"""Reads damaged files and tells what happened, as JSON: ``python tests/fuzz/fuzz.py --count 10000 --work FOLDER``.

A process of its own, since a reader may crash or hang it: then the file at fault is ``FOLDER/<reader>/…``, and the
traceback says where. Everything that a file could make a reader do is watched by Python's audit events: writing,
removing, starting programs, connecting, and importing what a pickle names.
"""

import argparse
import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mutations import mutate
from readers import READERS, Reader

from metauas.errors import InputError

LIMIT = 5  # seconds of the processor that reading one file may take
MEMORY = 4 * 1024**3  # bytes that reading may take on top of what the packages have taken
_FORBIDDEN = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename", "os.mkdir",
    "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate", "shutil.rmtree", "socket.connect", "ctypes.dlopen",
)  # fmt: skip


class Watch:
    """Notes what is forbidden while a file is read."""

    def __init__(self) -> None:
        self.armed, self.seen = False, []
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event in _FORBIDDEN or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            self.seen.append(f"{event} {args[:2]!r}")

    @contextmanager
    def armed_for(self, seconds: int) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_PROF, seconds)  # of this process: a busy machine is no fault of the reader
        signal.setitimer(signal.ITIMER_REAL, 60 * seconds)  # and one that waits for ever takes none
        self.armed = True
        try:
            yield
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)


def fuzz(name: str, reader: Reader, *, count: int, folder: Path, watch: Watch, seed: int) -> dict[str, Any]:
    """Let a reader read ``count`` damaged files; return how they ended and what must not have happened."""
    folder.mkdir(parents=True)
    files = reader.make(folder)
    whole = {file: file.read_bytes() for file in files}
    for file in files:  # before anything is forbidden: what is imported on first use
        _outcome(reader, file)
        file.write_bytes(whole[file])
    before = _listing(folder.parent)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    outcomes: Counter[str] = Counter()
    bad: list[str] = []
    slowest, started = 0.0, time.process_time()
    for number in range(count):
        file = files[int(rng.integers(len(files)))]
        file.write_bytes(mutate(whole[file], others=list(whole.values()), rng=rng))
        begin = time.process_time()
        with watch.armed_for(LIMIT):
            outcome = _outcome(reader, file)
        slowest = max(slowest, time.process_time() - begin)
        outcomes[outcome if outcome in ("read", "refused") else "bad"] += 1
        if outcome not in ("read", "refused") or watch.seen:
            bad.append(f"{file.name} number {number}: {outcome} {watch.seen}")
            (folder.parent / f"bad-{name}-{number}{file.suffix}").write_bytes(file.read_bytes())
            watch.seen.clear()
        file.write_bytes(whole[file])
    return {
        "outcomes": outcomes,
        "bad": bad[:20],
        "strange files": sorted(path for path in _listing(folder.parent) - before if not path.startswith("bad-")),
        "slowest": slowest,
        "seconds": time.process_time() - started,
    }


def _outcome(reader: Reader, file: Path) -> str:
    try:
        reader.read(file)
    except InputError:
        return "refused"
    except Exception:  # this is what is looked for
        return traceback.format_exc(limit=-4)
    return "read"


def _listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="damaged files for each reader")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", default=list(READERS))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True  # an import on the way to an error is no write of the reader
    limit_memory()
    for ends in (signal.SIGPROF, signal.SIGALRM):  # a reader that hangs, in C as well, is shown and the process ends
        faulthandler.register(ends, chain=True)
    watch, results = Watch(), {}
    for name in given.readers:
        reader = READERS[name]
        count = given.count if given.count > 1000 else given.count // (4 if reader.costly else 1)
        results[name] = fuzz(name, reader, count=count, folder=given.work / name, watch=watch, seed=given.seed)
        (given.work / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

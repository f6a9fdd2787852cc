"""One run in a folder at a time, however the one before ended."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from metauas.errors import OutputError
from metauas.files import UNFINISHED

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: What shared file systems say that are mounted without locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
_held: set[int] = set()


def _let_go() -> None:
    """A forked child, such as a loader's worker, may outlive a killed run and must not hold its folder."""
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def alone_in(folder: str | Path) -> Iterator[Path]:
    """Keep a second run out of the folder, which is made if it is missing, and clear away what a killed one left.

    The system lets go of the folder however this process ends, and nothing is written for it. On Windows, and on
    shared file systems without locks, runs are not kept apart; on NFS, only those of one machine are.

    Raises:
        OutputError: another run is writing into the folder, or it cannot be made.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {folder} cannot be made ({error.strerror}); choose another") from error
    if fcntl is None:
        yield target
        return
    handle = os.open(target, os.O_RDONLY)
    _held.add(handle)
    try:
        _lock(handle, target)
        clear_unfinished(target)
        yield target
    finally:
        _held.discard(handle)
        os.close(handle)


def clear_unfinished(folder: Path) -> None:
    """Remove the temporary files of a run that was killed, in the folder and those in it."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        with suppress(OSError):  # another folder's run may have finished it meanwhile
            path.unlink()


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"another run is writing into {folder}; wait for it, or give another folder") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise

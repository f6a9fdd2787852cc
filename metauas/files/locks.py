"""One run in a folder at a time, however the one before ended."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from metauas.errors import OutputError
from metauas.files import UNFINISHED

#: The lock file. It is removed at the end of a run; one that a killed run left holds no lock.
LOCK_NAME = ".lock"
#: Errors of shared file systems that are mounted without locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def alone_in(folder: str | Path) -> Iterator[Path]:
    """Keep a second run out of the folder, which is made if it is missing, and remove what a killed run left.

    The system releases the lock however this process ends. Shared file systems without locks do not keep runs apart.

    Raises:
        OutputError: another run is writing into the folder, or the folder cannot be made or locked.
    """
    target = Path(folder)
    lock = FileLock(target / LOCK_NAME, timeout=0, fallback_to_soft=False)
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OutputError(f"another run is writing into {folder}; wait for it, or give another folder") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS or not target.is_dir():
            wrong = f"folder {folder} cannot be made or locked ({error.strerror})"
            raise OutputError(f"{wrong}; choose another folder") from error
    try:
        clear_unfinished(target)
        yield target
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            (target / LOCK_NAME).unlink()
        lock.release()


def clear_unfinished(folder: Path) -> None:
    """Remove the temporary files of a run that was killed, in the folder and the folders below."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        with suppress(OSError):  # another folder's run may have finished it meanwhile
            path.unlink()

"""Files that are complete or absent, never half written; checks and hashes of files that are given."""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from metauas.errors import InputError, OutputError

#: How the names of unfinished files begin.
UNFINISHED = ".tmp-"
_SYNCS_FOLDERS = os.name != "nt"
_WAYS_OUT = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some space, or choose a folder on another disk",
    errno.EACCES: "choose a folder that may be written",
    errno.EPERM: "choose a folder that may be written",
    errno.EROFS: "choose a folder that may be written",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "the folder was removed meanwhile; run the same again",
}


@contextmanager
def atomic_path(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` on success, else remove it.

    The folder is made if it is missing. The rename is atomic because both are in one folder. With ``durable`` the
    content is synced to the disk first, so that after a power cut either the old file or the new one is there.

    Raises:
        OutputError: the disk is full, or the folder is read-only or was removed meanwhile; says what to do.
    """
    target = Path(path)
    with _writing(target):
        # the ending is kept because image writers choose their format by it
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=UNFINISHED, suffix=target.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)  # mkstemp's 0600 would hide results from the rest of a lab
            if durable:
                to_disk(temporary)
            temporary.replace(target)
        finally:
            with suppress(OSError):  # the error raised before says more
                temporary.unlink()


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder; rename it to ``path``, which must not exist, on success, else remove it.

    Raises:
        OutputError: as ``atomic_path``, or ``path`` was made meanwhile.
    """
    target = Path(path)
    with _writing(target):
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=UNFINISHED))
        try:
            yield draft
            draft.chmod(0o755)  # as above
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)  # gone already if it was renamed


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Make the parent folder of ``target``; turn errors of the system into one that names ``target`` and a way out."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if isinstance(error, InputError):
            raise
        reason, way_out = error.strerror or error, _WAYS_OUT.get(error.errno or 0, "choose another folder")
        raise OutputError(f"{target} cannot be written ({reason}); {way_out}") from error


def to_disk(path: Path) -> None:
    """Sync a file, or a folder's list of names, to the disk; on Windows, which cannot sync a folder, only a file."""
    if not _SYNCS_FOLDERS and path.is_dir():
        return
    # Windows syncs only what is open for writing, and other systems open a folder only for reading
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` atomically as UTF-8, with its own line ends on every system, and return the path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write ``value`` atomically as indented JSON and return the path. NaN is written as null."""
    return write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        InputError: naming the file if it is missing or not JSON.
    """
    try:
        return json.loads(require_file(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not JSON or text, thousands of digits, brackets without end
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid JSON: {error}") from error


def require_file(path: str | Path, *, hint: str = "") -> Path:
    """Return ``path`` as a Path if it is a file, else raise InputError naming it and, if given, the way out."""
    return _require(Path(path), Path.is_file, "file", hint)


def require_folder(path: str | Path, *, hint: str = "") -> Path:
    """Return ``path`` as a Path if it is a folder, else raise InputError naming it and, if given, the way out."""
    return _require(Path(path), Path.is_dir, "folder", hint)


def content_digest(path: str | Path, *, what: str = "path") -> str:
    """Return a hash of a file, or of all files in a folder, with their names.

    Raises:
        InputError: ``path`` does not exist; the message calls it ``what``.
    """
    root = Path(path)
    if not root.exists():
        raise InputError(f"{what} {root} does not exist (looked in {root.absolute().parent})")
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
    named = "".join(f"\0{file.relative_to(root).as_posix()}\0{file_digest(file)}" for file in files)
    return hashlib.sha256(named.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require(path: Path, is_there: Callable[[Path], bool], what: str, hint: str) -> Path:
    try:
        if is_there(path):
            return path
        wrong = f"{what} {path} does not exist (looked in {path.absolute().parent})"
        if path.exists():
            found = "a folder" if path.is_dir() else "a file" if path.is_file() else "something else"
            wrong = f"{path} is {found}, not a {what}"
    except OSError as error:  # a name that is too long, a folder without access
        wrong = f"{what} {path} cannot be looked for ({error.strerror})"
    raise InputError(wrong + (f"; {hint}" if hint else ""))


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by None, and keys by text."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

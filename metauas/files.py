"""Files that are complete or absent, never half written."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from metauas.errors import InputError

_TEMPORARY = ".tmp-"  # how the names of unfinished files begin


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``, else it vanishes.

    The folder is made if it is missing. The rename is atomic because both lie in the same folder.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # the ending is kept because image writers choose their format by it
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_TEMPORARY, suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's 0600 would hide results from the rest of a lab
        temporary.replace(target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def remove_unfinished(*folders: str | Path) -> None:
    """Remove the temporary files that ``atomic_path`` left directly in ``folders`` when its process was killed."""
    for folder in folders:
        for path in Path(folder).glob(f"{_TEMPORARY}*"):
            path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` atomically as UTF-8 and return the path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write ``value`` atomically as indented JSON and return the path. NaN is written as null."""
    return write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: naming the file if it is missing or not JSON.
    """
    try:
        return json.loads(require_file(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


def require_file(path: str | Path, *, hint: str = "") -> Path:
    """Return ``path`` as a Path if it is a file, else raise InputError naming it and, if given, the way out."""
    return _require(Path(path), Path(path).is_file(), "file", hint)


def require_folder(path: str | Path, *, hint: str = "") -> Path:
    """Return ``path`` as a Path if it is a folder, else raise InputError naming it and, if given, the way out."""
    return _require(Path(path), Path(path).is_dir(), "folder", hint)


def _require(path: Path, found: bool, what: str, hint: str) -> Path:
    if found:
        return path
    is_other = f"is not a {what}" if path.exists() else f"does not exist (looked in {path.absolute().parent})"
    raise InputError(f"{what} {path} {is_other}" + (f"; {hint}" if hint else ""))


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by None, which JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value

"""Lists of files and folders for every reader.

Each entry of a folder is one of three things:

- used: a reader takes it;
- ignored on purpose: hidden (its name begins with a dot, as ``._a.png``, ``.ipynb_checkpoints``, ``.Trash-1000``), or
  written by a system for itself (``SYSTEM_NAMES``);
- left out: a picture that a reader does not take, with the reason.
"""

import logging
import mimetypes
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metauas.errors import InputError

#: Names, in lower case, of files and folders that systems write for themselves.
SYSTEM_NAMES = frozenset(
    {
        "$recycle.bin", "#recycle", "@eadir", "__macosx", "desktop.ini", "ehthumbs.db", "lost+found",
        "system volume information", "thumbs.db",
    }
)  # fmt: skip

#: The first bytes of picture files.
_SIGNATURES = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"8BPS", b"v/1\x01",
    b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51", *(b"P%d%c" % (kind, end) for kind in range(1, 7) for end in b"\n\r\t #"),
)  # fmt: skip
#: Why a picture of another suffix is left out.
NOT_READ = "is a picture of a kind, or under a suffix, that is not read; save it as PNG"
_BOXED = (b"avif", b"avis", b"heic", b"heix", b"mif1")  # brands of ISO media files, at byte 8

_log = logging.getLogger("metauas")


@dataclass(frozen=True)
class LeftOut:
    """A file, or an entry of a list, that a reader does not use.

    Attributes:
        path: the file, or the list with the entry in it.
        reason: to be put after the path.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


def is_ignored(name: str) -> bool:
    """Return whether an entry of this name is hidden, or in ``SYSTEM_NAMES``."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def entries(folder: str | Path) -> list[Path]:
    """Return the entries directly in ``folder`` that are not ignored, sorted by name."""
    found = (entry for entry in Path(folder).iterdir() if not is_ignored(entry.name))
    return sorted(found, key=lambda entry: entry.name)  # Windows' paths would be sorted without regard to case


def files_in(folder: str | Path, *, suffixes: Collection[str]) -> list[Path]:
    """Return the files directly in ``folder`` with one of ``suffixes``, in lower or upper case, sorted by name."""
    found = (entry for entry in entries(folder) if entry.suffix.lower() in suffixes)
    return [entry for entry in found if not is_folder(entry)]


def folders_in(folder: str | Path) -> list[Path]:
    """Return the folders directly in ``folder``, sorted by name."""
    return [entry for entry in entries(folder) if is_folder(entry)]


def files_below(folder: str | Path) -> Iterator[Path]:
    """Yield every file in ``folder`` and the folders in it, sorted by name; ignored folders are not entered."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        yield from (Path(place, name) for name in sorted(names) if not is_ignored(name))


def is_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder; False if the system cannot tell."""
    try:
        return path.is_dir()
    except OSError:  # of a folder that may not be entered, a name too long for any file
        return False


def find_entry(folder: Path, name: str) -> Path | None:
    """Return the entry of ``folder`` whose name is ``name`` in any case, or None.

    Raises:
        InputError: naming two or more such entries, none of which is called exactly ``name``.
    """
    try:
        found = [entry for entry in entries(folder) if entry.name.casefold() == name.casefold()]
    except OSError:  # no folder, or one that may not be entered
        return None
    exact = [entry for entry in found if entry.name == name]
    if len(found) > 1 and not exact:
        names = " and ".join(entry.name for entry in found)
        raise InputError(f"{folder} holds {names}, which differ in case alone; keep one of them, as {name}")
    return next(iter(exact or found), None)


def check_name(path: Path) -> None:
    """Check that tables and pages in UTF-8 can hold a path; a system may allow names in other encodings.

    Raises:
        InputError: they cannot; shows the name's bytes.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the name of {os.fsencode(path)!r} is not UTF-8; rename the file or its folder") from error


def portable(text: str) -> str:
    """Return a relative path from a list, which may be written on Windows, with forward slashes."""
    return text.replace("\\", "/")


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture by its first bytes or, if these are unknown, by its name.

    The suffixes of the readers are not used, so that pictures with other suffixes are found.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        head = b""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    if webp or (head[4:8] == b"ftyp" and head[8:12] in _BOXED) or head.startswith(_SIGNATURES):
        return True
    return (mimetypes.guess_type(path.name)[0] or "").startswith("image/")


def pictures_left_out(
    folder: str | Path, *, used: Collection[Path], reason: Callable[[Path], str | None]
) -> list[LeftOut]:
    """Return the pictures below ``folder`` that are not used.

    Args:
        folder: where to look.
        used: files that are used, by paths that begin with ``folder``.
        reason: says why a file is left out; None where it is ignored on purpose.
    """
    unused = (path for path in files_below(folder) if path not in used and is_picture(path))
    return [LeftOut(path, told) for path in unused if (told := reason(path)) is not None]


def tell_left_out(where: str | Path, left_out: Sequence[LeftOut], *, what: str = "pictures", hint: str = "") -> None:
    """Log the number of entries that are left out, with an example, if there are any."""
    if left_out:
        more = f"; {hint}" if hint else ""
        _log.warning("%s: %s left out: %d, such as %s%s", where, what, len(left_out), left_out[0], more)

"""Find the parameter files of ablations, ``params/<factor>/<variant>.yaml``, and the scales of sweeps."""

import re
from collections.abc import Sequence
from pathlib import Path

from metauas.ablations.notebooks import suite_file, suite_folder
from metauas.errors import InputError, did_you_mean
from metauas.files.listing import files_in, folders_in

#: The folder of ``params/`` with scales, the parameters of all runs of a sweep; it is no factor.
SCALES = "scales"


def params_folder() -> Path:
    """Return the folder ``params/`` next to the notebooks."""
    return suite_folder() / "params"


def factors() -> list[str]:
    """Return the names of all factors, sorted."""
    root = params_folder()
    folders = folders_in(root) if root.is_dir() else []
    return [folder.name for folder in folders if folder.name != SCALES]


def factor_files(factor: str) -> list[Path]:
    """Return the parameter files of a factor, in natural order.

    Raises:
        InputError: naming the factors that exist.
    """
    folder = params_folder() / factor
    files = parameter_files(folder) if factor != SCALES and folder.is_dir() else []
    if not files:
        near, known = did_you_mean(factor, factors()), ", ".join(factors()) or "none"
        raise InputError(f"no parameter file in {folder}{near}; factors are {known}")
    return files


def parameter_files(folder: Path) -> list[Path]:
    """Return the parameter files directly in a folder, in natural order."""
    return sorted(files_in(folder, suffixes=(".yaml", ".yml")), key=lambda file: natural_key(file.stem))


def find_files(names: Sequence[str | Path]) -> list[Path]:
    """Return the parameter files of paths of files or folders, or names of factors.

    Raises:
        InputError: a name is none of these.
    """
    found = []
    for name in names:
        path = suite_file(name)
        is_plain_folder = path.is_dir() and not path.suffix
        files = [path] if path.is_file() else parameter_files(path) if is_plain_folder else []
        if not files and path.suffix:
            raise InputError(f"parameter file {path} does not exist (looked in {path.absolute().parent})")
        found += files or factor_files(str(name))
    return found


def scale_file(scale: str | Path) -> Path:
    """Return the file of a scale: by its name in ``params/scales``, else in ``params``, else as a path.

    Raises:
        InputError: naming the scales that exist.
    """
    folders = (params_folder() / SCALES, params_folder())
    for file in (*(folder / f"{scale}.yaml" for folder in folders), Path(scale)):
        if file.is_file():
            return file
    known = sorted({file.stem for folder in folders if folder.is_dir() for file in parameter_files(folder)})
    near = did_you_mean(str(scale), known)
    raise InputError(f"scale {str(scale)!r} is not known{near}; give a file, or one of {', '.join(known) or 'none'}")


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key under which 8 comes before 16, and ``a-8`` before ``a-16``."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]

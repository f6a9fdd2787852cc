"""Find the notebooks and read the parameters that they declare, without running them."""

import ast
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metauas.errors import InputError, did_you_mean
from metauas.files import atomic_folder, require_file, require_folder

_PACKAGE = Path(__file__).parents[1]

PATTERN = "[0-9][0-9]_*.ipynb"
TAG = "parameters"
#: Environment variable with the folder from which a command has imported metauas, for its kernels.
PACKAGE = "METAUAS_PACKAGE"

#: The suite's folders: next to the package in a checkout, inside it in a wheel.
SUITE = ("notebooks", "params", "configs")


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook.

    Attributes:
        kind: ``code``, ``markdown`` or ``raw``.
        source: its text.
        metadata: its metadata by name, for example ``tags``.
    """

    kind: str
    source: str
    metadata: dict[str, Any]


def notebooks_folder() -> Path:
    """Return the notebooks' folder: ``METAUAS_NOTEBOOKS`` if set, else that of the current suite, else the package's.

    The current suite is a copy (``copy_suite``) or checkout whose root or ``notebooks/`` is the current folder.

    Raises:
        InputError: the folder does not exist.
    """
    chosen = os.environ.get("METAUAS_NOTEBOOKS")
    own = _PACKAGE / "suite" if (_PACKAGE / "suite").is_dir() else _PACKAGE.parent  # the former in a wheel
    folder = Path(chosen) if chosen else (_current_suite() or own) / "notebooks"
    if not folder.is_dir():
        raise InputError(
            f"the notebooks' folder {folder} does not exist; set METAUAS_NOTEBOOKS to a copy by `metauas notebooks` or "
            "to the notebooks/ of a checkout, or unset it for those that the package brings"
        )
    return folder.resolve()


def notebook_of(stem: str) -> Path:
    """Return the path of a notebook of the suite."""
    return notebooks_folder() / f"{stem}.ipynb"


def suite_folder() -> Path:
    """Return the folder that holds the notebooks' folder, parameter files and recipes."""
    return notebooks_folder().parent


def suite_file(path: str | Path) -> Path:
    """Return ``path`` if it exists, else the file of that path in the suite, such as ``params/quick.yaml``."""
    given = Path(path)
    if given.exists():
        return given
    own = suite_folder() / given
    return own if own.is_file() else given


def copy_suite(out: str | Path) -> Path:
    """Copy notebooks, parameter files and recipes into a new folder, and return the folder of its notebooks.

    Raises:
        InputError: ``out`` exists already.
        OutputError: ``out`` cannot be written.
    """
    if Path(out).exists():
        raise InputError(f"{out} exists already and may hold your changes; give a new folder")
    suite = suite_folder()
    for name in SUITE:
        require_folder(suite / name)
    with atomic_folder(out) as draft:
        for name in SUITE:
            shutil.copytree(suite / name, draft / name, ignore=shutil.ignore_patterns(".*"))
    return Path(out) / "notebooks"


def _current_suite() -> Path | None:
    here = Path.cwd()
    suite = here.parent if here.name == "notebooks" else here
    is_whole = all((suite / name).is_dir() for name in SUITE) and any((suite / "notebooks").glob(PATTERN))
    return suite if is_whole else None


def find_notebooks() -> list[Path]:
    """Return the numbered notebooks of ``notebooks_folder()``, in order.

    Raises:
        InputError: there is none.
    """
    where = notebooks_folder()
    found = sorted(where.glob(PATTERN))
    if not found:
        raise InputError(f"no notebook in {where} is named like {PATTERN}, for example 01_synthesis.ipynb")
    return found


def read_cells(path: str | Path) -> list[Cell]:
    """Read the cells of a Jupyter notebook of format 4.

    nbformat is not used, because it takes seconds to import and every kernel checks its parameters here.

    Raises:
        InputError: the file is missing or no notebook.
    """
    try:
        cells = json.loads(require_file(path).read_text(encoding="utf-8"))["cells"]
        return [Cell(c["cell_type"], "".join(c["source"]), c.get("metadata", {})) for c in cells]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a Jupyter notebook of format 4: {error!r}") from error


def declared_parameters(notebook: str | Path) -> dict[str, Any]:
    """Return name and default of every parameter in the one code cell tagged ``parameters``.

    The cell is parsed, not run: it may hold assignments of literals only. (papermill's own ``inspect_notebook`` reads
    lines and misses defaults that contain ``=``.)

    Raises:
        InputError: the file is no notebook, not exactly one code cell has the tag, or a line is no such assignment.
    """
    tagged = [c.source for c in read_cells(notebook) if c.kind == "code" and TAG in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise InputError(f"{notebook} has {len(tagged)} code cells tagged {TAG!r}; it needs exactly one")
    try:
        statements = ast.parse(tagged[0]).body
    except SyntaxError as error:
        raise InputError(f"{notebook}: the cell tagged {TAG!r} is not Python: {error}") from error
    return dict(pair for statement in statements for pair in _assignment(statement, notebook=notebook))


def _assignment(statement: ast.stmt, *, notebook: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield name and value of ``name = literal`` or ``name: type = literal``."""
    try:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, ast.literal_eval(value)
            case _:
                raise ValueError("not an assignment to one name")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{notebook}: line {statement.lineno} of the cell tagged {TAG!r} is `{ast.unparse(statement)}`; "
            "only `name = literal` may stand there, so derive other values in the next cell"
        ) from error


def package_folder() -> str:
    """Return the folder from which this process has imported metauas."""
    return str(_PACKAGE.resolve())


def check_injected(cells: Sequence[str]) -> None:
    """Check the parameters that papermill has injected; papermill only warns of unknown ones.

    Args:
        cells: Jupyter's list of executed cells, ``In``.

    Raises:
        InputError: no notebook declares a parameter, or the kernel has imported another copy of metauas than the
            command that runs it, whose version the run would record.
    """
    caller = os.environ.get(PACKAGE, package_folder())
    if caller != package_folder():
        raise InputError(
            f"this kernel has imported metauas from {package_folder()}, but the command that runs it is in {caller}; "
            "run the command of the kernel's environment, or unset PYTHONPATH"
        )
    known = {name for notebook in find_notebooks() for name in declared_parameters(notebook)}
    injected = [ast.parse(cell) for cell in cells if cell.startswith("# Parameters")]
    targets = [t for tree in injected for s in tree.body if isinstance(s, ast.Assign) for t in s.targets]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    unknown = [f"{name!r} is not known{did_you_mean(name, known)}" for name in names if name not in known]
    if unknown:
        raise InputError("parameters given to this notebook: " + "; ".join(unknown))

"""The identity of a run: a hash of its resolved parameters and of the code."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metauas.ablations.notebooks import declared_parameters, notebooks_folder, read_cells
from metauas.ablations.parameters import merged

#: Parameters that are places and do not change the results; the content of a checkpoint is hashed instead.
PLACES = ("run_dir", "checkpoint")
#: Parts of the package that no notebook of a run imports: a change of them does not change a run.
_OUTSIDE = ("ablations", "cli")


def code_digest(stems: Sequence[str]) -> str:
    """Return a hash of the package's version, its sources without the sweep's own, and the notebooks' code cells."""
    package = Path(__file__).parents[1]
    files = [file.relative_to(package) for file in package.rglob("*.py")]
    counted = sorted(file for file in files if file.parts[0] not in _OUTSIDE)
    digest = hashlib.sha256(version("metauas").encode())
    for file in counted:
        digest.update(b"\0" + file.as_posix().encode() + b"\0" + (package / file).read_bytes())
    cells = [cell for stem in stems for cell in read_cells(notebooks_folder() / f"{stem}.ipynb")]
    for cell in cells:
        digest.update(b"\0" + cell.source.encode() if cell.kind == "code" else b"")
    return digest.hexdigest()


def stage_digest(stem: str, given: Mapping[str, Any], *, code: str, before: str) -> str:
    """Return a hash that names the run of one notebook.

    Args:
        stem: of the notebook.
        given: its parameters; the others have their declared defaults.
        code: from ``code_digest``.
        before: digest of the stage or checkpoint that the run starts from, or an empty string.
    """
    resolved = merged(declared_parameters(notebooks_folder() / f"{stem}.ipynb"), given)
    counted = {name: value for name, value in resolved.items() if name not in PLACES}
    text = json.dumps([stem, counted, code, before], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

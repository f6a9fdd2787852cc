"""What makes a run the run that it is: its resolved parameters, and the version of the code that made it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metauas.ablations.notebooks import declared_parameters, notebooks_folder, read_cells
from metauas.ablations.parameters import merged

#: Parameters that say where a run lies and do not change what comes out; what lies at a checkpoint is counted itself.
PLACES = ("run_dir", "checkpoint")
#: Parts of the package that no notebook of a run imports: they may change and what was run stays.
_OUTSIDE = ("ablations", "cli.py")


def code_digest(stems: Sequence[str]) -> str:
    """Return a hash of the package's version and sources, and of the code cells of these notebooks.

    Tables, plots and the sweep itself do not count, as runs do not depend on them.
    """
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
    """Return a hash that names one notebook's run.

    Args:
        stem: of the notebook.
        given: what it is given; what is left out has its declared default.
        code: from ``code_digest``.
        before: what the run starts from: another stage's digest, a checkpoint's, or an empty string.
    """
    resolved = merged(declared_parameters(notebooks_folder() / f"{stem}.ipynb"), given)
    counted = {name: value for name, value in resolved.items() if name not in PLACES}
    text = json.dumps([stem, counted, code, before], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

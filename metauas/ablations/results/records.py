"""The records of a sweep's runs, which decide whether runs may be averaged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metauas.errors import InputError
from metauas.files import read_json

#: The record of a finished stage, in its folder.
RECORD = "run.json"
_OF_A_SEED = ("seed", "seeds")


def check_alike(folders: Sequence[Path]) -> None:
    """Check that runs of one variant, ``<factor>/<variant>/seed-<seed>``, differ in the seed only.

    Runs without a record are not checked.

    Raises:
        InputError: naming the two runs and the parameters that differ.
    """
    first: dict[Path, tuple[Path, dict[str, Any]]] = {}
    for folder in folders:
        if not (folder / RECORD).is_file():
            continue
        own = _without_seed(read_json(folder / RECORD))
        other, expected = first.setdefault(folder.parent, (folder, own))
        if differing := [name for name in own | expected if own.get(name) != expected.get(name)]:
            raise InputError(
                f"{other} and {folder.name} differ in {', '.join(differing)}, so they are no seeds of one variant; "
                "repeat the sweep with all seeds, or give each its own folder"
            )


def _without_seed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter in training and in evaluation, and the version of the code."""
    training = record.get("after") or {}
    stages = [training.get("parameters", {}), record.get("parameters", {})]
    names = {name: None for stage in stages for name in stage if name not in _OF_A_SEED}
    return {**{name: [stage.get(name) for stage in stages] for name in names}, "code": record.get("code")}

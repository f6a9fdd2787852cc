"""Hashes of the files and folders that the parameters of a training name: a changed file is a changed training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metauas.files import content_digest, read_json

#: The file in a folder of written pairs that describes them.
SUMMARY_NAME = "summary.json"
_FILES = ("recipe", "recipe.preset", "network.encoder_weights")


def flat(parameters: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """Return parameters without nesting: ``{"network": {"preset": "lite"}}`` becomes ``{"network.preset": "lite"}``."""
    values: dict[str, Any] = {}
    for name, value in parameters.items():
        values |= flat(value, prefix=f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return values


def contents_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a hash of the recipe, the encoder's weights and the written pairs, where these are on disk.

    The hash of written pairs is the digest in their summary, of settings, pictures and models.
    """
    values = flat(parameters)
    paths = {name: Path(str(values[name])) for name in _FILES if values.get(name)}
    found = {name: content_digest(path) for name, path in paths.items() if path.is_file()}
    summary = Path(str(values.get("pairs"))) / SUMMARY_NAME
    if values.get("pairs") and summary.is_file():
        found["pairs"] = str(read_json(summary).get("digest"))
    return found

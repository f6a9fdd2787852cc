"""Hashes of the files that the parameters of a training name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metauas.files import content_digest, read_json

#: The summary of a folder of written pairs: settings, sources and counts.
SUMMARY_NAME = "summary.json"


def contents_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a hash of the recipe, the encoder's weights and the written pairs, as far as they are on disk.

    The hash of written pairs is the digest in their summary, of settings, pictures and models.
    """
    paths = {name: Path(str(parameters[name])) for name in ("recipe", "encoder_weights") if parameters.get(name)}
    found = {name: content_digest(path) for name, path in paths.items() if path.is_file()}
    summary = Path(str(parameters.get("pairs"))) / SUMMARY_NAME
    if parameters.get("pairs") and summary.is_file():
        found["pairs"] = str(read_json(summary).get("digest"))
    return found

"""What the parameters of a training name on disk, where the content decides as much as the name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metauas.files import content_digest, read_json

#: In a folder of written pairs: what they are, and how many.
SUMMARY_NAME = "summary.json"


def contents_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a hash of what lies at the recipe, the encoder's weights and the written pairs, where these are on disk.

    Of written pairs it is the digest in their summary: settings, pictures and models that they were made of.
    """
    given = {name: parameters.get(name) for name in ("recipe", "encoder_weights")}
    paths = {name: Path(value) for name, value in given.items() if isinstance(value, str | Path)}
    found = {name: content_digest(path) for name, path in paths.items() if path.is_file()}
    summary = Path(str(parameters.get("pairs"))) / SUMMARY_NAME
    if parameters.get("pairs") and summary.is_file():
        found["pairs"] = str(read_json(summary).get("digest"))
    return found

"""The record of a synthesis: all that its rows depend on, written into every shard."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metauas.errors import InputError
from metauas.files import content_digest, file_digest
from metauas.files.images import IMAGE_SUFFIXES
from metauas.files.listing import files_below
from metauas.synthesis.recipe import PATHS, SynthesisSettings

Record = dict[str, Any]


def absolute_paths(settings: SynthesisSettings) -> SynthesisSettings:
    """Return the settings with absolute paths, for workers in other working folders.

    Raises:
        InputError: a file or folder is missing.
    """
    given = {name: getattr(settings, name) for name in PATHS}
    for name, path in given.items():
        if path is not None and not Path(path).exists():
            raise InputError(f"{name}={path!r} does not exist (looked in {Path(path).absolute().parent})")
    absolute = {name: str(Path(path).resolve()) for name, path in given.items() if path is not None}
    kind, _, model = settings.inpainter.partition(":")
    if Path(model).exists() and model:
        absolute["inpainter"] = f"{kind}:{Path(model).resolve()}"
    return settings.model_copy(update=absolute)


def make_record(settings: SynthesisSettings) -> Record:
    """Return the settings with a fingerprint of the content in place of each path.

    So the data may be at another path on another machine, no path is published, and changed data are noticed.
    """
    values = settings.model_dump(mode="json")
    paths = {name: _fingerprint(Path(values[name])) for name in PATHS if values[name] is not None}
    kind, _, model = settings.inpainter.partition(":")
    if Path(model).exists() and model:
        paths["inpainter"] = f"{kind}: {_model_fingerprint(Path(model))}"
    return {"metauas": version("metauas"), **values, **paths}


def digest_of(record: Record) -> str:
    """Return the digest of a record, which is the same on every machine."""
    return _digest(json.dumps(record, sort_keys=True))


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the settings in which two records differ, as ``count=48 (there: 24)``."""
    names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    return ", ".join(f"{name}={wanted.get(name)!r} (there: {found.get(name)!r})" for name in names)


def _fingerprint(path: Path) -> str:
    """Return name and digest of a file's content, or of names and lengths of a folder's images, which is quick."""
    if path.is_file():
        return f"{path.name}, {file_digest(path)[:16]}"
    images = [file for file in sorted(files_below(path)) if file.suffix.lower() in IMAGE_SUFFIXES]
    lines = [f"{file.relative_to(path).as_posix()} {file.stat().st_size}" for file in images]
    return f"{path.name}, {len(images)} images, {_digest(chr(10).join(lines))}"


def _model_fingerprint(path: Path) -> str:
    """Return name and digest of the content of a model's file or folder."""
    return _fingerprint(path) if path.is_file() else f"{path.name}, {content_digest(path)[:16]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

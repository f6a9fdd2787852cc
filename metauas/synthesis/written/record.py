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


def paths_of(settings: SynthesisSettings) -> dict[str, Path]:
    """Return the files and folders that are given, by the names of their settings."""
    return {name: Path(path) for name in PATHS if (path := getattr(settings, name)) is not None}


def absolute_paths(settings: SynthesisSettings) -> SynthesisSettings:
    """Return the settings with absolute paths, for workers in other working folders.

    Raises:
        InputError: a file or folder is missing.
    """
    paths, (kind, model) = paths_of(settings), _inpainter(settings)
    for name, path in paths.items():
        if not path.exists():
            raise InputError(f"{name}={str(path)!r} does not exist (looked in {path.absolute().parent})")
    absolute = {name: str(path.resolve()) for name, path in paths.items()}
    if model is not None:
        absolute["inpainter"] = f"{kind}:{model.resolve()}"
    return settings.model_copy(update=absolute)


def make_record(settings: SynthesisSettings) -> Record:
    """Return the settings with a fingerprint of the content in place of each path.

    So the data may be at another path on another machine, no path is published, and changed data are noticed.
    """
    prints = {name: _fingerprint(path) for name, path in paths_of(settings).items()}
    kind, model = _inpainter(settings)
    if model is not None:
        content = _fingerprint(model) if model.is_file() else f"{model.name}, {content_digest(model)[:16]}"
        prints["inpainter"] = f"{kind}: {content}"
    return {"metauas": version("metauas"), **settings.model_dump(mode="json"), **prints}


def digest_of(record: Record) -> str:
    """Return the digest of a record, which is the same on every machine."""
    return _digest(json.dumps(record, sort_keys=True))


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the settings in which two records differ, as ``count=48 (there: 24)``."""
    names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    return ", ".join(f"{name}={wanted.get(name)!r} (there: {found.get(name)!r})" for name in names)


def _inpainter(settings: SynthesisSettings) -> tuple[str, Path | None]:
    """Return the kind of inpainter, and its model where that is a file or folder here."""
    kind, _, model = settings.inpainter.partition(":")
    return kind, Path(model) if model and Path(model).exists() else None


def _fingerprint(path: Path) -> str:
    """Return name and digest of a file's content, or of names and lengths of a folder's images, which is quick."""
    if path.is_file():
        return f"{path.name}, {file_digest(path)[:16]}"
    images = [file for file in sorted(files_below(path)) if file.suffix.lower() in IMAGE_SUFFIXES]
    lines = [f"{file.relative_to(path).as_posix()} {file.stat().st_size}" for file in images]
    return f"{path.name}, {len(images)} images, {_digest(chr(10).join(lines))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""Safetensors files with a JSON header, and the comparison of their tensors with what a network expects."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from metauas.errors import InputError
from metauas.files import atomic_path

_HEADER = "metauas"  # the one entry of a file's metadata: safetensors writes several in any order
_SHOWN = 5  # names listed in an error before "and n more"


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], *, header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header into one safetensors file, atomically.

    Raises:
        OutputError: as ``atomic_path``.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(contiguous, metadata={_HEADER: json.dumps(dict(header))})
    with atomic_path(path, durable=True) as temporary:
        temporary.write_bytes(content)  # save_file has a temporary file of its own, which a kill would leave


def read_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the header and the tensors of a safetensors file; nothing in it is executed.

    Raises:
        InputError: the file is damaged or not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            entries = {key: json.loads(value) for key, value in (file.metadata() or {}).items() if key != "format"}
            header = entries.get(_HEADER, entries)  # files of version 0.1 have an entry for each key
            if not isinstance(header, dict):
                raise ValueError(f"its entry {_HEADER!r} is no mapping")
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as safetensors ({error}); it may be incomplete: copy it again"
        ) from error


def load_state(model: torch.nn.Module, tensors: Mapping[str, Tensor], *, origin: str) -> None:
    """Load all tensors into a network; a partial match is an error.

    Raises:
        InputError: lists the tensors that are missing, unexpected or of another shape.
    """
    check_fit(model.state_dict(), tensors, origin=origin)
    model.load_state_dict(dict(tensors))


def check_fit(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, origin: str, hint: str = "") -> None:
    """Compare the names and shapes of ``tensors`` with the ``expected`` ones; ``hint`` says what would be right.

    Raises:
        InputError: lists the tensors that are missing, unexpected or of another shape.
    """
    wrong = {
        "missing": sorted(expected.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - expected.keys()),
        "of another shape": sorted(
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected.keys() & tensors.keys()
            if expected[name].shape != tensors[name].shape
        ),
    }
    if any(wrong.values()):
        parts = [f"{k}: {_some(v)}" for k, v in wrong.items() if v] + ([hint] if hint else [])
        raise InputError(f"{origin} does not fit this network: " + "; ".join(parts))


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

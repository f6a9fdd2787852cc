"""Tensors out of the files that ``torch.save`` writes, with nothing in them executed.

``torch.load(weights_only=True)`` refuses a checkpoint that holds any other object, such as the settings of a training
program. Here PyTorch reads the file with an unpickler that makes an inert stand-in of every class and function that
the pickle names. Tensors alone are rebuilt, within the bounds of their storage.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from metauas.errors import InputError, explained
from metauas.files import require_file
from metauas.files.pickles import InertUnpickler

_ZIP_START = b"PK\x03\x04"
_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
#: Names under which training programs keep the state dict, among other entries.
_WRAPPINGS = ("state_dict", "model", "model_state_dict")


def read_state_dict(path: str | Path, *, hint: str) -> dict[str, Tensor]:
    """Read the tensors of a state dict by name.

    A checkpoint may hold the state dict under ``state_dict``, ``model`` or ``model_state_dict``. Other content of the
    file (settings, optimisers, objects of any class) is passed over.

    Args:
        path: a file of ``torch.save``, in its zip format or the one before PyTorch 1.6.
        hint: what would be right, for the errors.

    Returns:
        CPU tensors of the file's own names, shapes and types.

    Raises:
        InputError: the file is missing, damaged, of another format, or without tensors.
    """
    file = require_file(path, hint=hint)
    with explained(file, what="a file of torch.save", hint=hint), file.open("rb") as stream:
        tensors = _named_tensors(_load(stream))
    if not tensors:
        places = " or ".join(map(repr, _WRAPPINGS))
        raise InputError(f"{file} holds no tensors by name, neither directly nor under {places}; {hint}")
    return tensors


def _load(file: BinaryIO) -> Any:
    if file.read(len(_ZIP_START)) == _ZIP_START:
        with zipfile.ZipFile(file) as archive:
            if (damaged := archive.testzip()) is not None:  # PyTorch does not compare the checksums
                raise ValueError(f"wrong CRC of {damaged}")
            endings = {name.rpartition("/")[2] for name in archive.namelist()}
            if "data.pkl" not in endings:
                raise ValueError("a zip file without data.pkl")
            if "constants.pkl" in endings:  # which torch.load would give to torch.jit
                raise ValueError("a TorchScript archive")
        file.seek(0)
    else:  # in memory, as check_pickle needs it
        file.seek(0)
        file = io.BytesIO(file.read())
    return torch.load(file, map_location="cpu", weights_only=False, pickle_module=_InertPickle)


class _Unpickler(InertUnpickler):
    """Makes tensors, and stand-ins of everything else."""

    def find_class(self, module: str, name: str) -> Any:
        # a new function each time: a pickle may set attributes of what it gets
        if f"{module}.{name}" in _TENSORS:
            return lambda *args: _rebuild_tensor(*args[:4])
        if f"{module}.{name}" in _PARAMETERS:
            return lambda data, *_: data
        return super().find_class(module, name)


class _InertPickle:
    """What ``torch.load`` uses of the module ``pickle``."""

    Unpickler = _Unpickler

    @staticmethod
    def load(file: io.BytesIO, **options: Any) -> Any:
        return _Unpickler(file, **options).load()


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Rebuild a tensor as PyTorch does, but do not enlarge the storage to a shape that the file claims."""
    count = len(storage._untyped_storage) // storage.dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min(offset, *size, *stride, 0) < 0 or math.prod(size) > count or last >= count:
        raise ValueError(f"a tensor of shape {size} reaches beyond its storage of {count} numbers")
    return torch._utils._rebuild_tensor(storage, offset, size, stride)


def _named_tensors(value: Any) -> dict[str, Tensor]:
    """Return the tensors of a state dict, or of the one in a checkpoint."""
    inner = (value.get(name) for name in _WRAPPINGS) if isinstance(value, dict) else ()
    state = next((entry for entry in inner if isinstance(entry, dict)), value)
    items = state.items() if isinstance(state, dict) else ()
    return {name: tensor for name, tensor in items if isinstance(name, str) and isinstance(tensor, Tensor)}

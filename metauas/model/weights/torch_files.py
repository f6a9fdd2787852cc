"""Tensors out of the files that ``torch.save`` writes, with nothing in them executed.

Such a file is a pickle, and a pickle may ask for any function to be called. Here it never gets one: each class and
function it names, those that rebuild tensors among them, becomes an inert stand-in that only remembers its name and
its arguments. From these the tensors are read off afterwards, by the code below and within the bounds of their bytes.
"""

import functools
import io
import math
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metauas.errors import InputError
from metauas.files import require_file
from metauas.files.pickles import check_pickle

_ZIP_START = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what torch.save wrote first until PyTorch 1.6
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
#: Names under which training programs keep the state dict, among other entries.
_WRAPPINGS = ("state_dict", "model", "model_state_dict")
_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


def read_state_dict(path: str | Path, *, hint: str) -> dict[str, Tensor]:
    """Read the tensors by name out of a state dict, or of the one under ``state_dict`` or ``model`` in a checkpoint.

    Whatever else the file holds (settings, optimisers, objects of any class) is passed over.

    Args:
        path: a file of ``torch.save``, in its zip format or the one before PyTorch 1.6.
        hint: what would be right, for the errors.

    Returns:
        CPU tensors of the file's own names, shapes and types.

    Raises:
        InputError: the file is missing, damaged, something else, or without tensors.
    """
    file = require_file(path, hint=hint)
    try:
        tensors = _read(file)
    except Exception as error:  # an unpickler meets garbage with almost any of them
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{file} cannot be read as a file of torch.save ({reason}); it may be incomplete or something else: {hint}"
        ) from error
    if not tensors:
        places = " or ".join(map(repr, _WRAPPINGS))
        raise InputError(f"{file} holds no tensors by name, neither directly nor under {places}; {hint}")
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        if file.read(len(_ZIP_START)) == _ZIP_START:
            return _read_zip(path)
    return _read_legacy(io.BytesIO(path.read_bytes()))


def _read_zip(path: Path) -> dict[str, Tensor]:
    """Read ``<root>/data.pkl``, whose tensors point to their bytes in ``<root>/data/<key>``."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = next((n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")), None)
        if root is None:
            raise ValueError("a zip file without data.pkl")
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder").decode() != sys.byteorder:
            raise ValueError("written by a machine of the other byte order")
        value = _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl"))).load()
        return _tensors(value, lambda key: archive.read(f"{root}data/{key}"))


def _read_legacy(file: io.BytesIO) -> dict[str, Tensor]:
    """Read five pickles (magic number, version, machine, value, keys), then each key's count and bytes."""
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise ValueError("it does not begin as such files do")
    _version, _machine = _Unpickler(file).load(), _Unpickler(file).load()
    unpickler = _Unpickler(file)
    value = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * _dtype(unpickler.kinds[key]).itemsize)
    return _tensors(value, storages.__getitem__)


class _StandIn(dict[Any, Any]):
    """Stands for what a pickle makes of something it names: holds entries like a dictionary, and does nothing.

    Every way in which a pickle can act on an object ends here, so that it can change neither this class nor another.
    """

    origin = ""  # module and name that the pickle gave
    args: tuple[Any, ...] = ()

    def __new__(cls, *args: Any, **_: Any) -> "_StandIn":
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(*_: Any) -> None: ...

    def _swallow(*_: Any) -> None: ...

    append = extend = add = __call__ = _swallow
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]  # it may be a key, which dictionaries may not


class _Unpickler(pickle.Unpickler):
    """Gives a pickle stand-ins for all that it names, and leaves its references to storages as they are."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.file = file
        self.kinds: dict[str, Any] = {}

    def load(self) -> Any:
        check_pickle(self.file)
        return super().load()

    def find_class(self, module: str, name: str) -> type[_StandIn]:
        return type("StandIn", (_StandIn,), {"origin": f"{module}.{name}"})

    def persistent_load(self, reference: Any) -> Any:
        _, kind, key, *_ = reference
        self.kinds[key] = kind
        return reference


def _tensors(value: Any, read: Callable[[str], bytes]) -> dict[str, Tensor]:
    """Rebuild what is a tensor in a state dict."""
    inner = (value.get(name) for name in _WRAPPINGS) if isinstance(value, dict) else ()
    state = next((entry for entry in inner if isinstance(entry, dict)), value)
    once = functools.cache(lambda key: bytearray(read(key)))  # tensors may share a storage
    described = {n: _description(v) for n, v in state.items() if isinstance(n, str)} if isinstance(state, dict) else {}
    return {name: _tensor(once, *args) for name, args in described.items() if args}


def _description(value: Any) -> tuple[Any, ...]:
    """Return storage, offset, size and stride of what was to become a tensor, and nothing of anything else."""
    if isinstance(value, _StandIn) and value.origin in _PARAMETERS:
        value = value.args[0]
    return value.args[:4] if isinstance(value, _StandIn) and value.origin in _TENSORS else ()


def _tensor(read: Callable[[str], bytearray], storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Rebuild a tensor of what a file says it is, which may be anything."""
    _, kind, key, _, count, *view = storage
    flat = torch.frombuffer(read(key), dtype=_dtype(kind))
    if any(view) or len(flat) != count:
        raise ValueError(f"storage {key} is not the {count} numbers that it should be")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min(offset, *size, *stride, 0) < 0 or math.prod(size) > count or last >= count:
        raise ValueError(f"a tensor of shape {size} reaches beyond its storage {key}")
    return flat.as_strided(size, stride, offset)


def _dtype(kind: type[_StandIn]) -> torch.dtype:
    return _DTYPES[kind.origin]

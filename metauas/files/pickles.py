"""Pickles, read without executing anything in them.

A pickle may ask for any function to be called. Here each name in it gets an inert stand-in, which remembers its
arguments. ``read_pickle`` and ``read_npy`` allow only the names that rebuild NumPy arrays, and build these themselves
within the bounds of their bytes.
"""

import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from metauas.errors import explained
from metauas.files import require_file

_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")  # opcodes with an index into a table, which is made as large

#: What ``read_pickle`` accepts: how NumPy pickles arrays, scalars and their types. NumPy 2 calls ``core`` ``_core``.
_KNOWN = {
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy._core.numeric", "_frombuffer"): "buffer",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
}
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_pickle(file: io.BytesIO) -> None:
    """Parse the next pickle of a file without building any value, and restore the position in the file.

    A few bytes can make an unpickler allocate all memory. The file must be in memory: reading from a disk allocates as
    many bytes as a damaged file claims.

    Raises:
        ValueError: it is cut off, holds an unknown opcode, or refers to more values than it has bytes.
    """
    start, size = file.tell(), len(file.getbuffer())
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in _PLACES and not 0 <= int(argument or 0) <= size:
            raise ValueError(f"a pickle of {size} bytes that refers to its value number {argument}")
    file.seek(start)


class _StandIn(dict[Any, Any]):
    """Takes the place of a named class or function and of what it makes: remembers its arguments and its state."""

    role = ""
    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any, **_: Any) -> "_StandIn":
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(*given: Any) -> None:
        # a pickle may hand the state to the class itself, which is then the only argument
        if len(given) == 2:
            given[0].state = given[1]

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment]  # it may be a key, which dictionaries may not


class _TolerantStandIn(_StandIn):
    """A stand-in that may be called, and takes entries as a list or a set does."""

    def _swallow(*_: Any) -> None: ...

    append = extend = add = __call__ = _swallow


class InertUnpickler(pickle.Unpickler):
    """Checks the pickle first, and makes a stand-in of everything that the pickle names."""

    def __init__(self, file: io.BytesIO, **options: Any) -> None:
        check_pickle(file)
        super().__init__(file, **options)

    def find_class(self, module: str, name: str) -> Any:
        """Return a new subclass each time, so that nothing a pickle does to it can last."""
        return type("StandIn", (_TolerantStandIn,), {})


def read_pickle(path: str | Path, *, hint: str) -> Any:
    """Read numbers, strings, lists, tuples, dictionaries and NumPy arrays from a pickle.

    Args:
        path: a file of ``pickle.dump``, of protocol 3 or later.
        hint: what would be right, for the errors.

    Raises:
        InputError: the file is missing or damaged, or holds anything but such values; nothing was executed.
    """
    with explained(path, what="a pickle of plain values", hint=hint), require_file(path, hint=hint).open("rb") as file:
        return _load(file)


def read_npy(path: str | Path, *, hint: str) -> np.ndarray:
    """Read an array from a ``.npy`` file, or if it holds objects, as ``read_pickle`` does.

    Raises:
        InputError: as ``read_pickle``.
    """
    what = "a .npy file of plain values"
    with explained(path, what=what, hint=hint), require_file(path, hint=hint).open("rb") as file:
        shape, _, dtype = _HEADERS[npy.read_magic(file)](file)
        if not dtype.hasobject:
            file.seek(0)
            return npy.read_array(file, allow_pickle=False)
        value = _load(file)
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise ValueError(f"it should hold an array of shape {shape}")
        return value


def _load(file: BinaryIO) -> Any:
    return _Values().of(_ArrayUnpickler(io.BytesIO(file.read())).load())


class _ArrayUnpickler(InertUnpickler):
    """Refuses every name but those of ``_KNOWN``."""

    def find_class(self, module: str, name: str) -> Any:
        role = _KNOWN.get((module.replace("numpy.core.", "numpy._core."), name))
        if role is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return type("StandIn", (_StandIn,), {"role": role})


class _Values:
    """Turns what was unpickled into values, each only once however often it is referred to."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if id(value) not in self.made:
            self.made[id(value)] = self._make(value)
        return self.made[id(value)]

    def _make(self, value: Any) -> Any:
        if isinstance(value, _StandIn):
            return self._restore(value)
        if isinstance(value, dict):
            return {self.of(key): self.of(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.of(item) for item in value)
        if isinstance(value, type):
            raise ValueError("it holds a class where a value should be")
        return value

    def _restore(self, given: _StandIn) -> Any:
        if given.role == "scalar":
            kind, content = given.args
            return np.frombuffer(content, _dtype(kind))[0].item()
        if given.role == "buffer":
            content, kind, shape, order = given.args
        else:
            _version, shape, kind, is_fortran, content = given.state
            order = "F" if is_fortran else "C"
        if isinstance(content, list):
            flat = np.fromiter(map(self.of, content), object, len(content))
        else:
            flat = np.frombuffer(content, _dtype(kind)).copy()
        return flat.reshape(tuple(shape), order=order)


def _dtype(given: Any) -> np.dtype[Any]:
    """Return the type of numbers or text that a stand-in of ``numpy.dtype`` describes; never one that holds objects."""
    code, order = str(given.args[0]), given.state[1]
    if given.role != "dtype" or not re.fullmatch(r"[biufcSU]\d+", code):
        raise ValueError(f"an array of type {code}, which is none of numbers or text")
    return np.dtype(code).newbyteorder(order)

"""Read plain values and NumPy arrays from pickles without executing anything in them.

A pickle may ask for any function to be called. Here it can name only what rebuilds NumPy arrays, and even for these it
gets inert stand-ins that remember their arguments. The arrays are then built below, within the bounds of their bytes.
"""

import io
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from metauas.errors import InputError
from metauas.files import require_file
from metauas.files.pickles import check_pickle

#: What a pickle may name: how NumPy pickles arrays, scalars and their types. NumPy 2 calls ``core`` ``_core``.
_KNOWN = {
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy._core.numeric", "_frombuffer"): "buffer",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
}
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_pickle(path: str | Path, *, hint: str) -> Any:
    """Read numbers, strings, lists, tuples, dictionaries and NumPy arrays from a pickle.

    Args:
        path: a file of ``pickle.dump``, of protocol 3 or later.
        hint: what would be right, for the errors.

    Raises:
        InputError: the file is missing or damaged, or holds anything but such values; nothing was executed.
    """
    with _explained(path, "pickle", hint), require_file(path, hint=hint).open("rb") as file:
        return _load(file)


def read_npy(path: str | Path, *, hint: str) -> np.ndarray:
    """Read an array from a ``.npy`` file, or if it holds objects, as ``read_pickle`` does.

    Raises:
        InputError: as ``read_pickle``.
    """
    with _explained(path, ".npy file", hint), require_file(path, hint=hint).open("rb") as file:
        shape, _, dtype = _HEADERS[npy.read_magic(file)](file)
        if not dtype.hasobject:
            file.seek(0)
            return npy.read_array(file, allow_pickle=False)
        value = _load(file)
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise ValueError(f"it should hold an array of shape {shape}")
        return value


@contextmanager
def _explained(path: str | Path, what: str, hint: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # an unpickler raises almost any of them on garbage
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path} cannot be read as a {what} of plain values ({reason}); it may be incomplete: {hint}"
        ) from error


class _StandIn:
    """Stands for a named function or class: remembers its arguments and its state, and does nothing.

    The unpickler makes a new subclass for each name, so that nothing a pickle does to one can last.
    """

    role = ""
    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any) -> "_StandIn":
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(*given: Any) -> None:
        # a pickle may hand the state to the class itself, which is then the only argument
        if len(given) == 2:
            given[0].state = given[1]


class _Unpickler(pickle.Unpickler):
    """Refuses every name but those of ``_KNOWN``."""

    def find_class(self, module: str, name: str) -> type[_StandIn]:
        role = _KNOWN.get((module.replace("numpy.core.", "numpy._core."), name))
        if role is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return type("StandIn", (_StandIn,), {"role": role})


def _load(file: BinaryIO) -> Any:
    content = io.BytesIO(file.read())
    check_pickle(content)
    return _Values().of(_Unpickler(content).load())


class _Values:
    """Turns what was unpickled into values, each only once however often it is referred to."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        if id(value) not in self.made:
            self.made[id(value)] = self._make(value)
        return self.made[id(value)]

    def _make(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.of(key): self.of(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.of(item) for item in value)
        if isinstance(value, _StandIn):
            return self._restore(value)
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

"""Errors that a user can mend: each names what was wrong and what would be right."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class InputError(ValueError):
    """Something given by the user (file, folder, parameter, image) cannot be used as it is."""


class OutputError(InputError, OSError):
    """A result cannot be written: the disk is full, the folder is read-only or gone, or another run is in it."""


class WeightsUnavailableError(InputError):
    """Pretrained weights were asked for and cannot be had, for example without a network."""


def check_choice(*, name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        InputError: naming the parameter, the value, the nearest choice and all choices.
    """
    known = list(choices)
    if value in known:
        return value
    raise InputError(f"{name}={value!r} is not known{did_you_mean(value, known)}; choose one of {', '.join(known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the known word nearest to ``word``, else an empty string."""
    near = get_close_matches(str(word), list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


@contextmanager
def explained(path: str | Path, *, what: str, hint: str) -> Iterator[None]:
    """Turn whatever a damaged file raises inside the block into an error that names the file.

    Args:
        path: the file.
        what: what it is read as, such as ``a pickle``.
        hint: what would be right.

    Raises:
        InputError: in place of any other exception.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path} cannot be read as {what} ({reason}); it may be incomplete or something else: {hint}"
        ) from error

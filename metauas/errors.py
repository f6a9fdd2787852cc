"""Errors that a user can mend: each names what was wrong and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches


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

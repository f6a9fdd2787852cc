"""Parameter files: reading them, checking every key and value, and giving each notebook its own."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metauas.ablations.notebooks import declared_parameters
from metauas.errors import InputError, did_you_mean
from metauas.files.yaml import parse_mapping, read_mapping

_NUMBER = re.compile(r"([-+]?)(\d*)(\.?\d*)(?:[eE]([-+]?)(\d+))?")
_SCALARS = (str, int, float, bool, type(None))
_NESTED = ("recipe",)  # parameters that may hold a mapping


def read_parameters(path: str | Path) -> dict[str, Any]:
    """Read a parameter file: a YAML mapping of names to scalars or lists of scalars; ``recipe`` may be a mapping.

    Raises:
        InputError: naming the file and everything that is wrong in it: a key that is no name or stands there twice, a
            nested value, or a number that YAML 1.1 takes for text (``1e-4``); and as ``read_mapping``.
    """
    return _checked(*read_mapping(path, example="batch_size: 16"), source=path)


def _checked(content: dict[Any, Any], problems: list[str], *, source: str | Path) -> dict[str, Any]:
    _refuse([*problems, *(p for item in content.items() for p in _wrong_item(*item))], source=source)
    return content


def read_for_notebooks(path: str | Path, notebooks: Sequence[str | Path]) -> dict[Path, dict[str, Any]]:
    """Read a parameter file and give each notebook what it declares, as ``split_parameters`` does.

    Raises:
        InputError: one error with all that ``read_parameters`` and ``split_parameters`` find wrong.
    """
    content, problems = read_mapping(path, example="batch_size: 16")
    wrong = {key: list(_wrong_item(key, value)) for key, value in content.items()}
    problems += [problem for each in wrong.values() for problem in each]
    sound = {key: value for key, value in content.items() if not wrong[key]}
    _refuse([*problems, *_misfits(sound, _declared(notebooks))], source=path)
    return split_parameters(content, notebooks, source=path)


def located(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make what is a path of a file or folder here absolute, as notebooks run elsewhere; a path has a slash in it."""
    return {name: _absolute(value) for name, value in values.items()}


def _absolute(value: Any) -> Any:
    if isinstance(value, dict):
        return located(value)
    is_path = isinstance(value, str) and "/" in value and Path(value).exists()
    return str(Path(value).resolve()) if is_path else value


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return what a command line's ``name=value`` say, the values read as in a parameter file.

    A value with a slash in it that is a file or folder here becomes an absolute path, as notebooks run elsewhere.

    Raises:
        InputError: one is not of this form, a name stands there twice, or a value is none for a parameter.
    """
    pairs = [setting.partition("=") for setting in settings]
    for setting, (name, equals, _) in zip(settings, pairs, strict=True):
        if not equals or not name.isidentifier():
            raise InputError(f"setting {setting!r} is not of the form name=value, such as size=96")
    text = "\n".join(f"{name}: {value}" for name, _, value in pairs)
    values = _checked(*parse_mapping(text, origin="settings", example="size=96"), source="settings") if text else {}
    return located(values)


def split_parameters(
    parameters: Mapping[str, Any], notebooks: Sequence[str | Path], *, source: str | Path = "parameters"
) -> dict[Path, dict[str, Any]]:
    """Give each notebook the parameters that it declares, after checking all of them.

    A value must have the type of the declared default: a whole number may stand for a float, a boolean not
    for a whole number, items of a list are compared with those of the default, and a default of None takes
    anything.

    Args:
        parameters: names and values, as ``read_parameters`` returns them.
        notebooks: the notebooks that may receive them.
        source: where they come from (usually the file), for the messages.

    Raises:
        InputError: naming the source and every key that no notebook declares and every value of another type.
    """
    declared = _declared(notebooks)
    _refuse(list(_misfits(parameters, declared)), source=source)
    return {
        notebook: {key: value for key, value in parameters.items() if key in defaults}
        for notebook, defaults in declared.items()
    }


def _declared(notebooks: Sequence[str | Path]) -> dict[Path, dict[str, Any]]:
    return {Path(notebook): declared_parameters(notebook) for notebook in notebooks}


def _misfits(parameters: Mapping[str, Any], declared: Mapping[Path, Mapping[str, Any]]) -> Iterator[str]:
    known = {name for defaults in declared.values() for name in defaults}
    names = ", ".join(notebook.stem for notebook in declared)
    for key in parameters:
        if key not in known:
            yield f"{key!r} is declared by none of {names}{did_you_mean(key, known)}"
    for notebook, defaults in declared.items():
        values = {key: value for key, value in parameters.items() if key in defaults}
        yield from _mismatches(values, defaults, where=notebook.stem)


def _refuse(problems: Sequence[str], *, source: str | Path) -> None:
    if len(problems) == 1:
        raise InputError(f"{source}: {problems[0]}")
    if problems:
        raise InputError("\n  - ".join([f"{source} has {len(problems)} mistakes:", *problems]))


def _wrong_item(key: Any, value: Any) -> Iterator[str]:
    if not (isinstance(key, str) and key.isidentifier()):
        yield f"the key {key!r} is not a parameter's name; names are words such as batch_size"
    items = _leaves(value) if key in _NESTED else value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, dict | list):
            yield f"{key!r} is nested; parameters are scalars or lists of scalars"
        elif not isinstance(item, _SCALARS):
            yield f"{key!r} is a {type(item).__name__} to YAML ({item}); put it in quotes"
        elif isinstance(item, str) and (number := _number_meant(item)):
            yield f"{key!r} is the text {item!r}, not a number; write {number}"


def _leaves(value: Any) -> list[Any]:
    """Return the scalars of nested mappings and lists."""
    if not isinstance(value, dict | list):
        return [value]
    return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(item)]


def _number_meant(text: str) -> str | None:
    """Return the number as YAML 1.1 wants it, with dot and signed exponent; None if the text is no number."""
    match = _NUMBER.fullmatch(text)
    if match is None or not any(character.isdigit() for character in match[2] + match[3]):
        return None
    sign, whole, fraction, exponent_sign, exponent = match.groups()
    if exponent is None:
        return f"{sign}{whole or '0'}{fraction} without quotes"
    decimals = fraction if len(fraction) > 1 else ".0"
    return f"{sign}{whole or '0'}{decimals}e{exponent_sign or '+'}{exponent}"


def _mismatches(values: Mapping[str, Any], defaults: Mapping[str, Any], *, where: str) -> Iterator[str]:
    for key, value in values.items():
        default = defaults[key]
        if not _fits(value, default):
            yield (
                f"{key!r} must be {_kind(default)} as its default {default!r} in {where} is, not {value!r}"
                + (
                    "; YAML reads yes, no, on and off as booleans, so put the word in quotes"
                    if isinstance(value, bool) and isinstance(default, str)
                    else ""
                )
            )


def _fits(value: Any, default: Any) -> bool:
    if default is None:
        return True
    if isinstance(default, list | tuple):
        is_list = isinstance(value, list | tuple)
        return is_list and (not default or all(any(_fits(item, like) for like in default) for item in value))
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _kind(default: Any) -> str:
    if isinstance(default, list | tuple):
        return f"a list of which each item is {_kind(default[0])}" if default else "a list"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(type(default), f"a {type(default).__name__}")

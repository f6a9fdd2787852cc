"""Read parameter files, check every key and value, and give each notebook the parameters that it declares."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metauas.ablations.notebooks import declared_parameters
from metauas.errors import InputError, did_you_mean
from metauas.files.yaml import parse_mapping, read_mapping

_NUMBER = re.compile(r"([-+]?)(\d*)(\.?\d*)(?:[eE]([-+]?)(\d+))?")
_SCALARS = (str, int, float, bool, type(None))

Given = dict[str, dict[str, Any]]  # stem of a notebook → its parameters


def read_for_notebooks(path: str | Path | None, notebooks: Sequence[str | Path]) -> Given:
    """Read a parameter file, and split it as ``split_parameters`` does.

    Args:
        path: a YAML mapping of names to scalars, lists of scalars, or mappings of these; None gives no parameters.
        notebooks: paths of the notebooks.

    Returns:
        The parameters that each notebook declares, by its stem.

    Raises:
        InputError: naming the file and all its mistakes: those of ``split_parameters``, a key that is no name or is
            repeated, a list in a list, or a number that YAML 1.1 takes for text (``1e-4``); and as ``read_mapping``.
    """
    if path is None:
        return {Path(notebook).stem: {} for notebook in notebooks}
    declared, (content, problems) = _declared(notebooks), read_mapping(path, example="batch_size: 16")
    sound = {key: value for key, value in content.items() if not list(_wrong_items({key: value}))}
    _refuse([*problems, *_wrong_items(content), *_misfits(sound, declared)], source=path)
    return _split(content, declared)


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters in which each layer replaces those before it; nested mappings are merged key by key.

    A name that meets a mapping is short for ``{"preset": name}``: ``goods`` and ``{"kinds": ["local"]}`` make
    ``{"preset": "goods", "kinds": ["local"]}``.
    """
    result: dict[str, Any] = {}
    for layer in layers:
        result |= {name: _over(result.get(name), value) for name, value in layer.items()}
    return result


def _over(low: Any, high: Any) -> Any:
    if isinstance(low, str) and isinstance(high, Mapping):
        low = {"preset": low}
    if isinstance(low, Mapping) and isinstance(high, str):
        high = {"preset": high}
    return merged(low, high) if isinstance(low, Mapping) and isinstance(high, Mapping) else high


def located(values: Mapping[str, Any]) -> dict[str, Any]:
    """Make paths of existing files and folders absolute, as notebooks run elsewhere; a path has a slash in it."""
    return {name: _absolute(value) for name, value in values.items()}


def _absolute(value: Any) -> Any:
    if isinstance(value, Mapping):
        return located(value)
    is_path = isinstance(value, str) and "/" in value and Path(value).exists()
    return str(Path(value).resolve()) if is_path else value


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that a command line gives as ``name=value``, with values read as in a parameter file.

    A dotted name is a key of a nested mapping, as in ``network.alignment=hard``. Paths become absolute (``located``).

    Raises:
        InputError: a setting is not of this form, a name is repeated, or a value is not allowed.
    """
    pairs = [setting.partition("=") for setting in settings]
    for setting, (name, equals, _) in zip(settings, pairs, strict=True):
        if not equals or not all(part.isidentifier() for part in name.split(".")):
            raise InputError(f"setting {setting!r} is not of the form name=value, such as size=96")
    text = "\n".join(f'"{name}": {value}' for name, _, value in pairs)  # unquoted, YAML takes no for a boolean
    content, problems = parse_mapping(text, origin="settings", example="size=96") if text else ({}, [])
    values = merged(*(_nested(name, value) for name, value in content.items()))
    _refuse([*problems, *_wrong_items(values)], source="settings")
    return located(values)


def _nested(name: str, value: Any) -> dict[str, Any]:
    first, dot, rest = name.partition(".")
    return {first: _nested(rest, value) if dot else value}


def split_parameters(
    parameters: Mapping[str, Any], notebooks: Sequence[str | Path], *, source: str | Path = "parameters"
) -> Given:
    """Return the parameters that each notebook declares, by its stem, after checking all of them.

    A value must have the type of the declared default. A whole number may replace a float, items of lists and mappings
    are compared with those of the default, and a default of None takes any value. A default with the key ``preset``
    also takes the preset's name alone, and other keys.

    Args:
        parameters: names and values.
        notebooks: paths of the notebooks.
        source: the name of the file, for the errors.

    Raises:
        InputError: naming the source, every key that no notebook declares and every value of another type.
    """
    declared = _declared(notebooks)
    _refuse(list(_misfits(parameters, declared)), source=source)
    return _split(parameters, declared)


def _declared(notebooks: Sequence[str | Path]) -> Given:
    return {Path(notebook).stem: declared_parameters(notebook) for notebook in notebooks}


def _split(parameters: Mapping[str, Any], declared: Given) -> Given:
    return {
        stem: {key: value for key, value in parameters.items() if key in defaults}
        for stem, defaults in declared.items()
    }


def _misfits(parameters: Mapping[str, Any], declared: Given) -> Iterator[str]:
    known = {name for defaults in declared.values() for name in defaults}
    for key in parameters:
        if key not in known:
            yield f"{key!r} is declared by none of {', '.join(declared)}{did_you_mean(key, known)}"
    for stem, values in _split(parameters, declared).items():
        yield from _mismatches(values, declared[stem], where=stem)


def _refuse(problems: Sequence[str], *, source: str | Path) -> None:
    if len(problems) == 1:
        raise InputError(f"{source}: {problems[0]}")
    if problems:
        raise InputError("\n  - ".join([f"{source} has {len(problems)} mistakes:", *problems]))


def _wrong_items(content: Mapping[Any, Any], *, within: str = "") -> Iterator[str]:
    for key, value in content.items():
        name = f"{within}{key}"
        if not (isinstance(key, str) and key.isidentifier()):
            yield f"the key {key!r} is not a parameter's name; names are words such as batch_size"
        if isinstance(value, dict):
            yield from _wrong_items(value, within=f"{name}.")
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict | list):
                yield f"{name!r} is nested; a list holds scalars"
            elif not isinstance(item, _SCALARS):
                yield f"{name!r} is a {type(item).__name__} to YAML ({item}); put it in quotes"
            elif isinstance(item, str) and (number := _number_meant(item)):
                yield f"{name!r} is the text {item!r}, not a number; write {number}"


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


def _mismatches(
    values: Mapping[str, Any], defaults: Mapping[str, Any], *, where: str, within: str = ""
) -> Iterator[str]:
    for key, value in values.items():
        name = f"{within}{key}"
        if key not in defaults:
            yield f"{name!r} is not known to {where}{did_you_mean(key, defaults)}"
        elif isinstance(value, Mapping) and isinstance(default := defaults[key], Mapping):
            # a preset's other choices are checked where the preset is known
            checked = {k: v for k, v in value.items() if k in default or "preset" not in default}
            yield from _mismatches(checked, default, where=where, within=f"{name}.")
        elif not _fits(value, defaults[key]):
            is_word = isinstance(value, bool) and isinstance(defaults[key], str)
            hint = "; YAML reads yes, no, on and off as booleans, so put the word in quotes" if is_word else ""
            kind = _kind(defaults[key])
            yield f"{name!r} must be {kind} as its default {defaults[key]!r} in {where} is, not {value!r}{hint}"


def _fits(value: Any, default: Any) -> bool:
    if default is None:
        return True
    if isinstance(default, list | tuple):
        is_list = isinstance(value, list | tuple)
        return is_list and (not default or all(any(_fits(item, like) for like in default) for item in value))
    if isinstance(default, Mapping):
        return isinstance(value, str) and "preset" in default  # the preset's name alone
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _kind(default: Any) -> str:
    if isinstance(default, list | tuple):
        return f"a list of which each item is {_kind(default[0])}" if default else "a list"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "a mapping"}
    return words.get(type(default), f"a {type(default).__name__}")

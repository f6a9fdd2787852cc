"""Parameter files: reading them, checking every key and value, and giving each notebook its own."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from metauas.errors import InputError, did_you_mean
from metauas.files import require_file
from metauas.notebooks import declared_parameters

_NUMBER = re.compile(r"([-+]?)(\d*)(\.?\d*)(?:[eE]([-+]?)(\d+))?")
_SCALARS = (str, int, float, bool, type(None))


def read_parameters(path: str | Path) -> dict[str, Any]:
    """Read a parameter file: one flat YAML mapping of names to scalars or lists of scalars.

    Raises:
        InputError: naming the file and everything that is wrong in it: not YAML, empty, not a mapping, a
            key that is no name or stands there twice, a nested value, or a number that YAML 1.1 takes for
            text (``1e-4``).
    """
    try:
        text = require_file(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    return _parse(text, source=path)


def _parse(text: str, *, source: str | Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not valid YAML: {error}") from error
    if not content:
        raise InputError(f"{source} is empty; write one `name: value` a line, or give no file to use the defaults")
    if not isinstance(content, dict):
        raise InputError(f"{source} holds a {type(content).__name__}, not a mapping; write one `name: value` a line")
    _refuse([*_doubled_keys(text), *(p for item in content.items() for p in _wrong_item(*item))], source=source)
    return content


def _absolute(value: Any) -> Any:
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
    values = _parse(text, source="settings") if text else {}
    return {name: _absolute(value) for name, value in values.items()}


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
    declared = {Path(notebook): declared_parameters(notebook) for notebook in notebooks}
    known = {name for defaults in declared.values() for name in defaults}
    names = ", ".join(notebook.stem for notebook in declared)
    problems = [
        f"{key!r} is declared by none of {names}{did_you_mean(key, known)}" for key in parameters if key not in known
    ]
    given = {
        notebook: {key: value for key, value in parameters.items() if key in defaults}
        for notebook, defaults in declared.items()
    }
    for notebook, values in given.items():
        problems += _mismatches(values, declared[notebook], where=notebook.stem)
    _refuse(problems, source=source)
    return given


def _refuse(problems: Sequence[str], *, source: str | Path) -> None:
    if len(problems) == 1:
        raise InputError(f"{source}: {problems[0]}")
    if problems:
        raise InputError("\n  - ".join([f"{source} has {len(problems)} mistakes:", *problems]))


def _doubled_keys(text: str) -> Iterator[str]:
    """Yield a sentence for every key that stands there twice: YAML would silently keep the last one."""
    mapping = yaml.compose(text, Loader=yaml.SafeLoader)
    counts = Counter(str(key.value) for key, _ in mapping.value) if mapping else Counter()
    for key, count in counts.items():
        if count > 1:
            yield f"{key!r} stands there {count} times; keep one"


def _wrong_item(key: Any, value: Any) -> Iterator[str]:
    if not (isinstance(key, str) and key.isidentifier()):
        yield f"the key {key!r} is not a parameter's name; names are words such as batch_size"
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, dict | list):
            yield f"{key!r} is nested; parameters are scalars or lists of scalars"
        elif not isinstance(item, _SCALARS):
            yield f"{key!r} is a {type(item).__name__} to YAML ({item}); put it in quotes"
        elif isinstance(item, str) and (number := _number_meant(item)):
            yield f"{key!r} is the text {item!r}, not a number; write {number}"


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

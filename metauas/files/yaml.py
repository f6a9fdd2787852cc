"""YAML files from any source: plain values, with limits on size and depth."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from metauas.errors import InputError
from metauas.files import require_file

#: A parameter file or recipe has some dozens of lines.
MAX_BYTES = 100_000
MAX_DEPTH = 20


class _Loader(yaml.SafeLoader):
    """Loads plain values; refuses deep nesting, and aliases, ten lines of which can hold billions of values."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"line {mark.line + 1} refers to a value elsewhere (*name); write it out")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_mapping(path: str | Path, *, example: str) -> tuple[dict[Any, Any], list[str]]:
    """Read a YAML file that holds one mapping, as ``parse_mapping`` does.

    Raises:
        InputError: naming the file if it is missing, larger than ``MAX_BYTES`` or not UTF-8; and as ``parse_mapping``.
    """
    file = require_file(path)
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES} bytes; it should hold lines such as `{example}`")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from error
    return parse_mapping(text, origin=path, example=example)


def parse_mapping(text: str, *, origin: str | Path, example: str) -> tuple[dict[Any, Any], list[str]]:
    """Parse YAML that holds one mapping.

    Args:
        text: the YAML.
        origin: where it comes from, for the errors.
        example: a correct line, for the errors.

    Returns:
        The mapping, and a sentence for each duplicate key, of which YAML silently keeps the last.

    Raises:
        InputError: naming the origin if it is not YAML of plain values, is not a mapping, holds an alias, or is nested
            deeper than ``MAX_DEPTH``.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node else None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:  # for impossible dates
        raise InputError(f"{origin} is not valid YAML: {error}") from error
    if not content:
        raise InputError(f"{origin} is empty; write lines such as `{example}`")
    if not isinstance(content, dict):
        raise InputError(f"{origin} holds a {type(content).__name__}, not a mapping; write lines such as `{example}`")
    return content, list(_doubled_keys(node))


def _doubled_keys(mapping: Any, *, within: str = "") -> Iterator[str]:
    counts = Counter(str(key.value) for key, _ in mapping.value)
    for key, count in counts.items():
        if count > 1:
            yield f"{within + key!r} stands there {count} times; keep one"
    for key, value in mapping.value:
        if isinstance(value, yaml.MappingNode):
            yield from _doubled_keys(value, within=f"{within}{key.value}.")

"""Prompt files: one image for all queries, some images for each category, or some for each query.

There are four kinds of file, distinguished by their content:

- an image: the prompt of every query;
- a CSV file with the columns ``category`` and ``filename``; several rows of a category are several prompts;
- a JSON object, category → path, list of paths, or object with ``filename``, as in the author's one-prompt files;
- JSON objects, query → list of paths, the most similar first, one per line as in the author's top-10 files.

Paths are relative to the benchmark's folder, with either slash, and must not leave it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts import Benchmark, Category, Problems
from metauas.eval.benchmarks.layouts.listed import leads_out, read_table
from metauas.eval.benchmarks.layouts.problems import check_image
from metauas.eval.prompts.selection import Prompt
from metauas.files import require_file
from metauas.files.image_files import upright_size
from metauas.files.images import IMAGE_SUFFIXES
from metauas.files.listing import portable

_FORMS = (
    'give an image, a CSV file with the columns category,filename, a JSON object {"category": "path"}, '
    'or lines {"query": ["path", …]}'
)


@dataclass(frozen=True, kw_only=True)
class PromptFile:
    """Content of a prompt file.

    Attributes:
        source: the file.
        key: kind of its entries; an ``image`` is itself the prompt of every query.
        entries: paths as written, by category or query, the preferred one first.
    """

    source: Path
    key: Literal["image", "category", "query"]
    entries: Mapping[str, tuple[str, ...]]


def read_prompt_file(path: str | Path) -> PromptFile:
    """Read a file of one of the kinds above; ``prompts_from_file`` checks it against a benchmark.

    Raises:
        InputError: the file is missing or has another form; names the file and the line or entry.
    """
    source = require_file(path, hint="a prompt is random, nearest, pool, defective, or such a file")
    if _is_image(source):
        return PromptFile(source=source, key="image", entries={})
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is neither an image nor UTF-8 text; {_FORMS}") from error
    entries = _from_json(text, source) if text.lstrip()[:1] in ("{", "[") else _from_csv(source)
    if not entries:
        raise InputError(f"{source} has no entry; {_FORMS}")
    return PromptFile(source=source, key=_key(entries, source), entries=entries)


def prompts_from_file(file: PromptFile, benchmark: Benchmark, *, shots: int = 1) -> dict[str, list[Prompt]]:
    """Return, for each category by name, the prompt of each of its test images.

    Entries for other categories and queries are ignored.

    Args:
        file: content of the file.
        benchmark: the benchmark; paths are relative to its root.
        shots: number of images per entry, taken from the first on.

    Raises:
        InputError: one error with all problems: categories or queries without an entry, entries with fewer images than
            ``shots``, paths that leave the root, images that are missing or cannot be read.
    """
    problems = Problems()
    if file.key == "image":
        if shots != 1:
            raise InputError(f"shots={shots}: {file.source} is one image; choose shots=1")
        return {category.name: [(file.source,)] * len(category.test) for category in benchmark.categories}
    finder = _Finder(file, benchmark.root, shots, problems)
    found = {category.name: finder.prompts(category) for category in benchmark.categories}
    if problems:
        raise InputError(f"{file.source} does not fit {benchmark.root}:\n{problems}")
    return found


class _Finder:
    """Looks up entries and files, each once, and collects problems."""

    def __init__(self, file: PromptFile, root: Path, shots: int, problems: Problems) -> None:
        self.file, self.root, self.shots, self.problems = file, root, shots, problems
        self.entries = {str(PurePosixPath(portable(key))): names for key, names in file.entries.items()}
        self.found: dict[str, Prompt] = {}
        self.checked: dict[str, Path] = {}

    def prompts(self, category: Category) -> list[Prompt]:
        """Return the prompt of each test image; it is empty if there is a problem."""
        if self.file.key == "category":
            return [self._prompt(category.name, category)] * len(category.test)
        keys = [sample.path.relative_to(self.root).as_posix() for sample in category.test]
        return [self._prompt(key, category) for key in keys]

    def _prompt(self, key: str, category: Category) -> Prompt:
        if key not in self.found:
            names = self.entries.get(key, ())
            if not names:
                near = did_you_mean(key, self.entries)
                has = f"; it has {_some(self.entries)}" if self.file.key == "category" else ""
                self.problems.add(f"no entry for {self.file.key} {key!r}{near}{has}", category=category.name)
            elif len(names) < self.shots:
                wrong = f"{len(names)} images for {self.file.key} {key!r}, fewer than shots={self.shots}"
                self.problems.add(wrong, category=category.name)
            self.found[key] = tuple(self._image(name, category) for name in names[: self.shots])
        return self.found[key]

    def _image(self, name: str, category: Category) -> Path:
        if name not in self.checked:
            self.checked[name] = self.root / portable(name)
            if leads_out(name):
                wrong = f"path {name!r} leads out of the folder; give one relative to it, without '..'"
                self.problems.add(wrong, category=category.name)
            else:
                check_image(self.checked[name], partial(self.problems.add, category=category.name))
        return self.checked[name]


def _some(names: Mapping[str, Any], shown: int = 20) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(list(names)[:shown]) + more


def _is_image(path: Path) -> bool:
    try:
        upright_size(path)
    except InputError:
        return False
    return True


def _key(entries: Mapping[str, Any], source: Path) -> Literal["category", "query"]:
    """Return whether the entries are queries, which are paths of images, or categories."""
    queries = [key for key in entries if PurePosixPath(key).suffix.lower() in IMAGE_SUFFIXES]
    if queries and len(queries) < len(entries):
        other = next(key for key in entries if key not in queries)
        raise InputError(f"{source} mixes queries, such as {queries[0]!r}, with categories, such as {other!r}")
    return "query" if queries else "category"


def _from_csv(source: Path) -> dict[str, tuple[str, ...]]:
    entries: dict[str, tuple[str, ...]] = {}
    for _, row in read_table(source, columns=("category", "filename")):
        entries[row["category"]] = (*entries.get(row["category"], ()), row["filename"])
    return entries


def _from_json(text: str, source: Path) -> dict[str, tuple[str, ...]]:
    entries: dict[str, tuple[str, ...]] = {}
    for place, document in _documents(text, source):
        if not isinstance(document, dict):
            raise InputError(f"{place} is no JSON object; {_FORMS}")
        if "filename" in document:
            raise InputError(f"{place} describes an image, not a prompt, as lists of test images do; {_FORMS}")
        for key, value in document.items():
            if key in entries:
                raise InputError(f"{place} has {key!r} again; keep one")
            entries[key] = _names(value, place=f"{place}, {key!r}")
    return entries


def _documents(text: str, source: Path) -> Iterator[tuple[str, Any]]:
    """Yield the JSON documents of a file, one in all or one per line, each with its place."""
    try:
        documents = [(str(source), _loads(text))]
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise InputError(f"{source} is not valid JSON: {error}") from error
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        documents = [(f"{source} line {number}", _line(line, f"{source} line {number}")) for number, line in lines]
    yield from documents


def _line(line: str, place: str) -> Any:
    try:
        return _loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place} is not valid JSON: {error}") from error


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise InputError(f"this JSON is nested too deeply; {_FORMS}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse repeated keys, of which Python's parser silently keeps the last."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InputError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice; keep one")
    return values


def _names(value: Any, *, place: str) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.get("filename")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{place} holds neither a path nor paths; {_FORMS}")
    return tuple(names)

"""Prompt files: one image for all queries, some images for each category, or some for each query.

There are four kinds of file, distinguished by their content:

- an image: the prompt of every query;
- a CSV file with the columns ``category`` and ``filename``; several rows of a category are several prompts;
- a JSON object, category → path, list of paths, or object with ``filename``, as in the author's one-prompt files;
- JSON objects, query → list of paths, the most similar first, one per line as in the author's top-10 files.

Paths are relative to the benchmark's folder, with either slash, and must not leave it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts import Benchmark, Problems
from metauas.eval.benchmarks.layouts.listed import leads_out, read_table
from metauas.eval.benchmarks.layouts.problems import check_image
from metauas.eval.prompts.selection import Prompt
from metauas.files import require_file
from metauas.files.decoding import upright_size
from metauas.files.images import IMAGE_SUFFIXES
from metauas.files.listing import portable

_FORMS = (
    'give an image, a CSV file with the columns category,filename, a JSON object {"category": "path"}, '
    'or lines {"query": ["path", …]}'
)
_SHOWN = 20  # names of entries in an error
_CONTENT = re.compile(r"\S")
#: Paths as written, by category or query, the preferred one first.
Entries = Mapping[str, tuple[str, ...]]


def prompts_from_file(path: str | Path, benchmark: Benchmark, *, shots: int = 1) -> dict[str, list[Prompt]]:
    """Return, for each category by name, the prompt of each of its test images.

    Entries for other categories and queries are ignored.

    Args:
        path: a file of one of the kinds above.
        benchmark: the benchmark; paths are relative to its root.
        shots: number of images per entry, taken from the first on.

    Raises:
        InputError: the file is missing or has another form; names the file and the line or entry. If the file does not
            fit, one error names all problems: categories or queries without an entry, entries with fewer images than
            ``shots``, paths that leave the root, images that are missing or cannot be read.
    """
    source = require_file(path, hint="a prompt is random, nearest, pool, defective, or such a file")
    if _is_image(source):
        if shots != 1:
            raise InputError(f"shots={shots}: {source} is one image; choose shots=1")
        return {category.name: [(source,)] * len(category.test) for category in benchmark.categories}
    entries, problems = _read_entries(source), Problems()
    kind, root = _kind(entries, source), benchmark.root
    keys = _keys(benchmark, kind)
    once = dict.fromkeys(chain(*keys.values()))
    names = {key: _names(key, entries, problems, kind=kind, shots=shots) for key in once}
    files = {name: _file(name, root, problems) for name in dict.fromkeys(chain(*names.values()))}
    if problems:
        raise InputError(f"{source} does not fit {root}:\n{problems}")
    prompts = {key: tuple(files[name] for name in some) for key, some in names.items()}
    return {category: [prompts[key] for key in some] for category, some in keys.items()}


def _is_image(path: Path) -> bool:
    try:
        upright_size(path)
    except InputError:
        return False
    return True


def _kind(entries: Entries, source: Path) -> str:
    """Return whether the entries are of queries, named by the paths of images, or of categories."""
    queries = [key for key in entries if PurePosixPath(key).suffix.lower() in IMAGE_SUFFIXES]
    if queries and len(queries) < len(entries):
        other = next(key for key in entries if key not in queries)
        raise InputError(f"{source} mixes queries, such as {queries[0]!r}, with categories, such as {other!r}")
    return "query" if queries else "category"


def _keys(benchmark: Benchmark, kind: str) -> dict[str, list[str]]:
    """Return, for each category by name, the entry that each of its test images needs."""
    if kind == "category":
        return {category.name: [category.name] * len(category.test) for category in benchmark.categories}
    paths = {category.name: [sample.path for sample in category.test] for category in benchmark.categories}
    return {name: [path.relative_to(benchmark.root).as_posix() for path in some] for name, some in paths.items()}


def _names(key: str, entries: Entries, problems: Problems, *, kind: str, shots: int) -> tuple[str, ...]:
    """Return the first ``shots`` paths of an entry; if there are fewer, they are a problem."""
    names = entries.get(key, ())
    if not names:
        more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
        has = f"; it has {', '.join(list(entries)[:_SHOWN])}{more}" if kind == "category" else ""
        problems.add(f"no entry for {kind} {key!r}{did_you_mean(key, entries)}{has}")
    elif len(names) < shots:
        problems.add(f"{len(names)} images for {kind} {key!r}, fewer than shots={shots}")
    return names[:shots]


def _file(name: str, root: Path, problems: Problems) -> Path:
    path = root / portable(name)
    if leads_out(name):
        problems.add(f"path {name!r} leads out of the folder; give one relative to it, without '..'")
    else:
        check_image(path, problems.add)
    return path


# --- entries of a file


def _read_entries(source: Path) -> Entries:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is neither an image nor UTF-8 text; {_FORMS}") from error
    entries = _from_json(text, source) if text.lstrip()[:1] in ("{", "[") else _from_csv(source)
    if not entries:
        raise InputError(f"{source} has no entry; {_FORMS}")
    return {str(PurePosixPath(portable(key))): names for key, names in entries.items()}


def _from_csv(source: Path) -> Entries:
    entries: dict[str, tuple[str, ...]] = {}
    for _, row in read_table(source, columns=("category", "filename")):
        entries[row["category"]] = (*entries.get(row["category"], ()), row["filename"])
    return entries


def _from_json(text: str, source: Path) -> Entries:
    entries: dict[str, tuple[str, ...]] = {}
    for place, document in _documents(text, source):
        if not isinstance(document, dict):
            raise InputError(f"{place} is no JSON object; {_FORMS}")
        if "filename" in document:
            raise InputError(f"{place} describes an image, not a prompt, as lists of test images do; {_FORMS}")
        for key, value in document.items():
            if key in entries:
                raise InputError(f"{place} has {key!r} again; keep one")
            entries[key] = _paths(value, place=f"{place}, {key!r}")
    return entries


def _documents(text: str, source: Path) -> Iterator[tuple[str, Any]]:
    """Yield the JSON documents of a file, one in all or one after the other, each with its place."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    line, start, end = 1, 0, 0
    while content := _CONTENT.search(text, end):
        line += text.count("\n", start, content.start())
        start, place = content.start(), f"{source} line {line}" if end else str(source)
        try:
            document, end = decoder.raw_decode(text, start)
        except RecursionError:
            raise InputError(f"{place} is nested too deeply; {_FORMS}") from None
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
        except ValueError as error:  # not JSON, or thousands of digits
            raise InputError(f"{place} is not valid JSON: {error}") from error
        yield place, document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse repeated keys, of which Python's parser silently keeps the last."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InputError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice; keep one")
    return values


def _paths(value: Any, *, place: str) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.get("filename")
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{place} holds neither a path nor paths; {_FORMS}")
    return tuple(names)

"""Output of ``metauas data``: the check of a benchmark by category, and the catalogue."""

from collections.abc import Iterator

from rich import box
from rich.markup import escape
from rich.table import Table

from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts, Source
from metauas.eval.benchmarks.check import CategoryCheck, DataCheck

FINDINGS_SHOWN = 5


def check_table(check: DataCheck) -> Table:
    """Return one row per category: images and masks found, in red with the expected number where they differ.

    ``marked`` is the median share of an image that a mask marks.
    """
    table = Table("category", title=escape(f"{check.title}: {check.root}"))
    for title in ("train", "good", "defective", "masks", "marked", "findings"):
        table.add_column(title, justify="right")
    for row in check.categories:
        table.add_row(*_check_cells(row))
    total = sum((row.counts for row in check.categories), Counts(0, 0, 0))
    masks = sum(row.masks for row in check.categories)
    findings = len(check.findings) + sum(len(row.findings) for row in check.categories)
    table.add_section()
    table.add_row("all", *map(str, (total.train, total.good, total.defective, masks, "", findings)))
    return table


def _check_cells(row: CategoryCheck) -> Iterator[str]:
    known = row.known or row.counts
    yield escape(row.name)
    yield _cell(row.counts.train, known.train)
    yield _cell(row.counts.good, known.good)
    yield _cell(row.counts.defective, known.defective)
    yield _cell(row.masks, row.counts.defective)
    yield "–" if row.marked is None else f"{row.marked:.1%}"
    yield f"[red]{len(row.findings)}[/]" if row.findings else "–"


def _cell(found: int, known: int) -> str:
    return str(found) if found == known else f"[red]{found}[/] of {known}"


def check_lines(check: DataCheck) -> Iterator[str]:
    """Yield the first findings of the benchmark and of each category, the number of further ones, and all notes."""
    for name, findings in [("", check.findings), *((row.name, row.findings) for row in check.categories)]:
        for text in findings[:FINDINGS_SHOWN]:
            yield f"{name}: {text}" if name else text
        if len(findings) > FINDINGS_SHOWN:
            yield f"{name or 'benchmark'}: and {len(findings) - FINDINGS_SHOWN} more"
    for row in check.categories:
        yield from (f"{row.name}: note: {text}" for text in row.notes)


def catalogue_table() -> Table:
    """Return one row per benchmark: its layout, title, numbers of images and licence."""
    title = "`metauas data info NAME` shows how to get one"
    table = Table(title=title, box=box.HORIZONTALS, pad_edge=False, collapse_padding=True)  # narrow, for 80 columns
    table.add_column("name", no_wrap=True)
    table.add_column("benchmark")
    for title in ("categories", "train", "good", "defective"):
        table.add_column(title, justify="right")
    table.add_column("licence")
    for name, source in CATALOGUE.items():
        counts = source.counts()
        known = (counts.train, counts.good, counts.defective) if counts else ("–",) * 3
        numbers = (len(source.categories), *known)
        table.add_row(name, source.title, *map(str, numbers), source.licence)
    return table


def source_lines(name: str, source: Source) -> Iterator[str]:
    """Yield the facts of one benchmark, and how to get, check and evaluate it."""
    yield f"{source.title}: {len(source.categories)} categories, {_counts_in_words(source.counts())}"
    facts = {"page": source.homepage, "paper": source.paper, "licence": source.licence, "download": source.size}
    yield from (f"{name:<10}{fact}" for name, fact in (facts | {"note": source.note}).items() if fact)
    yield ""
    yield from source.steps
    yield f"metauas data check {name} FOLDER"
    yield f"metauas eval --data FOLDER --layout {name}"


def _counts_in_words(counts: Counts | None) -> str:
    if counts is None:
        return "numbers of images unknown"
    more = f", {counts.validation} for validation" if counts.validation else ""
    private = f", two folders of {counts.unlabelled} images without labels" if counts.unlabelled else ""
    test = f"{counts.good} good and {counts.defective} defective test images"
    return f"{counts.train} normal training images{more}, {test}{private}"

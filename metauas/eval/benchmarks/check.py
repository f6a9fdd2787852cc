"""Comparison of a benchmark on disk with its published facts, and a check of all its files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from metauas.errors import check_choice, did_you_mean
from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts
from metauas.eval.benchmarks.facts import (
    duplicates,
    each,
    faulty_masks,
    faulty_pictures,
    mask_facts,
    median_share,
    mixed_pictures,
    note_masks,
    picture_facts,
)
from metauas.eval.benchmarks.layouts import LAYOUTS, Category, Problems, list_benchmark, mask_files
from metauas.eval.benchmarks.layouts.samples import images_of
from metauas.files.listing import LeftOut


@dataclass(frozen=True)
class CategoryCheck:
    """One category on disk.

    Attributes:
        name: of the category.
        counts: numbers of images on disk.
        known: published numbers, None if unknown.
        masks: number of defective test images with a mask on disk.
        findings: faults and differences, one sentence each.
        notes: unusual properties that are read correctly, one sentence each.
        marked: median share of an image that a mask marks; None without masks.
    """

    name: str
    counts: Counts
    known: Counts | None
    masks: int
    findings: list[str]
    notes: list[str] = field(default_factory=list)
    marked: float | None = None


@dataclass(frozen=True)
class DataCheck:
    """A benchmark on disk: its categories, and the findings that concern no single category."""

    title: str
    root: Path
    categories: list[CategoryCheck]
    findings: list[str]

    @property
    def fine(self) -> bool:
        """Whether there is no finding."""
        return not self.findings and not any(category.findings for category in self.categories)


def check_data(name: str, root: str | Path, *, layout: str | None = None, deep: bool = False) -> DataCheck:
    """Compare a benchmark on disk with its published facts, and check its files.

    Findings are: missing and unknown categories; unexpected numbers of images; missing files, images without masks and
    masks without images; unused pictures; masks that are empty, lossy, inverted or of another size than their images;
    broken files; 16-bit pictures that use few bits; test images that are training images too.

    Args:
        name: of the benchmark, as in ``LAYOUTS``.
        root: its folder.
        layout: layout of the folder, by default that of the published benchmark.
        deep: decode every image instead of its header and checksums; this finds all broken files.

    Raises:
        InputError: the name or layout is unknown, or the folder cannot be read in that layout at all.
    """
    check_choice(name="benchmark", value=name, choices=LAYOUTS)
    benchmark, problems = list_benchmark(root, layout=layout or name)
    source = CATALOGUE.get(name)
    known = source.categories if source else {category.name: None for category in benchmark.categories}
    checked = [
        _check_category(category, known.get(category.name), problems, benchmark.left_out, deep=deep)
        for category in benchmark.categories
    ]
    findings = [problem.text for problem in problems if problem.category is None]
    folders = [category.folder for category in benchmark.categories if category.folder]
    findings += [str(item) for item in benchmark.left_out if not any(map(item.path.is_relative_to, folders))]
    findings += _unexpected_names([category.name for category in checked], list(known))
    if source and source.total and not findings:
        total = sum((category.counts for category in checked), Counts(0, 0, 0))
        findings += _unexpected_counts(total, source.total)
    return DataCheck(source.title if source else benchmark.name, benchmark.root, checked, findings)


def _check_category(
    category: Category, known: Counts | None, problems: Problems, left_out: Sequence[LeftOut], *, deep: bool
) -> CategoryCheck:
    own = [problem for problem in problems if problem.category == category.name]
    reported = {problem.path for problem in own}
    unused = [item for item in left_out if category.folder and item.path.is_relative_to(category.folder)]
    paths = [path for path in images_of(category) if path not in reported]
    pictures = each(partial(picture_facts, deep=deep), paths, f"{category.name}: images")
    samples = [sample for sample in category.test if sample.path not in reported]
    images = {mask: sample.path for sample in samples for mask in mask_files(sample) if mask not in reported}
    masks = each(partial(mask_facts, images=images), list(images), f"{category.name}: masks")
    defective = sum(sample.label for sample in category.test)
    counts = Counts(len(category.train_good), len(category.test) - defective, defective, len(category.validation))
    findings = [
        *(problem.text for problem in own),
        *_unexpected_counts(counts, known),
        *_unexpected_unlabelled(category, known),
        *_undefined_metrics(category),
        *faulty_pictures(pictures),
        *duplicates(category, [path for path in paths if not pictures[path].error], deep=deep),
        *faulty_masks(masks),
        *(str(item) for item in unused if item.path not in reported),
    ]
    notes = [*category.notes, *mixed_pictures(pictures), *note_masks(masks)]
    there = sum(sample.mask_path is not None and sample.mask_path.exists() for sample in category.test)
    return CategoryCheck(category.name, counts, known, there, findings, notes, median_share(masks))


def _undefined_metrics(category: Category) -> Iterator[str]:
    if not any(sample.label for sample in category.test):
        yield "no defective test image: anomaly maps can be computed, but every metric is undefined"
    elif all(sample.mask_path is None for sample in category.test):
        yield "no masks: the image metrics can be computed, the pixel metrics and AUPRO are undefined"
    if category.test and all(sample.label for sample in category.test):
        yield "no good test image: I-AUROC is undefined, I-AP and I-F1max are meaningless"


def _unexpected_names(found: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    if missing := sorted(set(known) - set(found)):
        yield f"missing: category {', '.join(missing)}"
    for name in sorted(set(found) - set(known)):
        yield f"category {name} is not one of this benchmark{did_you_mean(name, known)}"


def _unexpected_counts(counts: Counts, known: Counts | None) -> Iterator[str]:
    if known is None:
        return
    for what, found, expected in (
        ("normal training", counts.train, known.train),
        ("good test", counts.good, known.good),
        ("defective test", counts.defective, known.defective),
        ("validation", counts.validation, known.validation),
    ):
        if found != expected:
            yield f"{found} {what} images, expected {expected}"


def _unexpected_unlabelled(category: Category, known: Counts | None) -> Iterator[str]:
    for folder, images in category.unlabelled.items():
        if known and len(images) != known.unlabelled:
            yield f"{len(images)} images in {folder}, expected {known.unlabelled}"

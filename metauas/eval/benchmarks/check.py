"""Is a benchmark on disk the one that the field knows? Everything odd about it, without stopping at the first."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from metauas.errors import check_choice, did_you_mean
from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts
from metauas.eval.benchmarks.facts import (
    MaskFacts,
    duplicates,
    each,
    images_of,
    mask_facts,
    median_share,
    mixed_pictures,
    note_masks,
    odd_masks,
    odd_pictures,
    picture_facts,
)
from metauas.eval.benchmarks.layouts import LAYOUTS, Category, Problems, list_benchmark, mask_files
from metauas.files.listing import LeftOut


@dataclass(frozen=True)
class CategoryCheck:
    """One category as it is on disk.

    Attributes:
        name: of the category.
        counts: what is there.
        known: what should be there, None if that is not known.
        masks: number of defective test images whose mask is there.
        oddities: what is odd, a sentence each.
        notes: what is read as it should be though it is unusual, a sentence each.
        marked: median share of an image that a mask marks; None without masks.
    """

    name: str
    counts: Counts
    known: Counts | None
    masks: int
    oddities: list[str]
    notes: list[str] = field(default_factory=list)
    marked: float | None = None


@dataclass(frozen=True)
class DataCheck:
    """A whole benchmark: its categories, and what is odd about none of them in particular."""

    title: str
    root: Path
    categories: list[CategoryCheck]
    oddities: list[str]

    @property
    def fine(self) -> bool:
        """Whether nothing is odd."""
        return not self.oddities and not any(category.oddities for category in self.categories)


def check_data(name: str, root: str | Path, *, layout: str | None = None, deep: bool = False) -> DataCheck:
    """Compare a benchmark on disk with what is known of it, and look into its files.

    Looked for: missing and unknown categories; other numbers of images than the known ones; missing files, images
    without masks and masks without images; pictures that are not read, by content; masks that are empty, lossy, inside
    out or of another size than their images; files that are no images or are cut off; few bits in 16-bit pictures;
    pictures that are for training and under test.

    Args:
        name: of the benchmark, as in ``LAYOUTS``.
        root: its folder.
        layout: how the folder is laid out, by default as the benchmark is given away.
        deep: decode every image, not only its header and checksums; finds the rest of the broken ones.

    Raises:
        InputError: the name or layout is not known, or the folder cannot be read in that layout at all.
    """
    check_choice(name="benchmark", value=name, choices=LAYOUTS)
    benchmark, problems = list_benchmark(root, layout=layout or name)
    source = CATALOGUE.get(name)
    known = source.categories if source else {category.name: None for category in benchmark.categories}
    checked = [
        _check_category(category, known.get(category.name), problems, benchmark.left_out, deep=deep)
        for category in benchmark.categories
    ]
    oddities = [problem.text for problem in problems if problem.category is None]
    folders = [category.folder for category in benchmark.categories if category.folder]
    oddities += [str(item) for item in benchmark.left_out if not any(map(item.path.is_relative_to, folders))]
    oddities += _odd_names([category.name for category in checked], list(known))
    if source and source.total and not oddities:
        total = sum((category.counts for category in checked), Counts(0, 0, 0))
        oddities += _odd_counts(total, source.total)
    return DataCheck(source.title if source else benchmark.name, benchmark.root, checked, oddities)


def _check_category(
    category: Category, known: Counts | None, problems: Problems, left_out: Sequence[LeftOut], *, deep: bool
) -> CategoryCheck:
    own = [problem for problem in problems if problem.category == category.name]
    reported = {problem.path for problem in own}
    paths = [path for path in images_of(category) if path not in reported]
    pictures = dict(each(partial(picture_facts, deep=deep), paths, f"{category.name}: images"))
    masks = _mask_facts(category, reported)
    counts = _count(category)
    oddities = [
        *(problem.text for problem in own),
        *_odd_counts(counts, known),
        *_undefined_metrics(category),
        *odd_pictures(pictures),
        *duplicates(category, [path for path in paths if not pictures[path].error], deep=deep),
        *odd_masks(masks),
        *_unused_files(category, left_out, reported),
    ]
    notes = [*category.notes, *mixed_pictures(pictures), *note_masks(masks)]
    there = sum(sample.mask_path is not None and sample.mask_path.exists() for sample in category.test)
    return CategoryCheck(category.name, counts, known, there, oddities, notes, median_share(masks))


def _count(category: Category) -> Counts:
    defective = sum(sample.label for sample in category.test)
    return Counts(len(category.train_good), len(category.test) - defective, defective)


def _undefined_metrics(category: Category) -> Iterator[str]:
    if not any(sample.label for sample in category.test):
        yield "no defective test image: maps can be made, but every metric is undefined"
    elif all(sample.mask_path is None for sample in category.test):
        yield "no masks: the image metrics can be computed, the pixel metrics and AUPRO are undefined"
    if category.test and all(sample.label for sample in category.test):
        yield "no good test image: I-AUROC is undefined, I-AP and I-F1max say nothing"


def _odd_names(found: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    if missing := sorted(set(known) - set(found)):
        yield f"missing: category {', '.join(missing)}"
    for name in sorted(set(found) - set(known)):
        yield f"category {name} is not one of this benchmark{did_you_mean(name, known)}"


def _odd_counts(counts: Counts, known: Counts | None) -> Iterator[str]:
    if known is None:
        return
    for what, is_, should_be in (
        ("normal training", counts.train, known.train),
        ("good test", counts.good, known.good),
        ("defective test", counts.defective, known.defective),
    ):
        if is_ != should_be:
            yield f"{is_} {what} images, known are {should_be}"


def _mask_facts(category: Category, reported: Container[Path | None]) -> dict[Path, MaskFacts]:
    """Look at every mask that is not reported, nor its image."""
    samples = [sample for sample in category.test if sample.path not in reported]
    images = {mask: sample.path for sample in samples for mask in mask_files(sample) if mask not in reported}
    look = partial(mask_facts, images=images)
    return dict(each(look, list(images), f"{category.name}: masks"))


def _unused_files(category: Category, left_out: Sequence[LeftOut], reported: Container[Path | None]) -> Iterator[str]:
    for item in left_out:
        if category.folder and item.path.is_relative_to(category.folder) and item.path not in reported:
            yield str(item)

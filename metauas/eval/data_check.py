"""Is a benchmark on disk the one that the field knows? Everything odd about it, without stopping at the first."""

from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import TypeVar

from PIL import Image
from tqdm import tqdm

from metauas.errors import InputError, check_choice, did_you_mean
from metauas.eval.catalogue import CATALOGUE, Counts
from metauas.eval.layouts import LAYOUTS, Category, Problems, list_benchmark, mask_files
from metauas.image_files import open_image, upright_size
from metauas.images import IMAGE_SUFFIXES, read_mask

READERS = 8  # files are waited for more than decoded
MASK_FOLDERS = {"ground_truth", "Masks"}
Found = TypeVar("Found")


@dataclass(frozen=True)
class CategoryCheck:
    """One category as it is on disk.

    Attributes:
        name: of the category.
        counts: what is there.
        known: what should be there, None if that is not known.
        masks: number of defective test images whose mask is there.
        oddities: what is odd, a sentence each.
    """

    name: str
    counts: Counts
    known: Counts | None
    masks: int
    oddities: list[str]


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
    without masks and masks without images; masks that are empty or of another size than their images; files that
    are no images or are cut off.

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
        _check_category(category, known.get(category.name), problems, deep=deep) for category in benchmark.categories
    ]
    oddities = [problem.text for problem in problems if problem.category is None]
    oddities += _odd_names([category.name for category in checked], list(known))
    if source and source.total and not oddities:
        total = sum((category.counts for category in checked), Counts(0, 0, 0))
        oddities += _odd_counts(total, source.total)
    return DataCheck(source.title if source else benchmark.name, benchmark.root, checked, oddities)


def _check_category(category: Category, known: Counts | None, problems: Problems, *, deep: bool) -> CategoryCheck:
    own = [problem for problem in problems if problem.category == category.name]
    reported = {problem.path for problem in own}
    counts = _count(category)
    oddities = [
        *(problem.text for problem in own),
        *_odd_counts(counts, known),
        *_undefined_metrics(category),
        *_broken_images([path for path in _images(category) if path not in reported], category.name, deep=deep),
        *_odd_masks(category, reported),
        *_unused_files(category),
    ]
    masks = sum(sample.mask_path is not None and sample.mask_path.exists() for sample in category.test)
    return CategoryCheck(category.name, counts, known, masks, oddities)


def _count(category: Category) -> Counts:
    defective = sum(sample.label for sample in category.test)
    return Counts(len(category.train_good), len(category.test) - defective, defective)


def _images(category: Category) -> list[Path]:
    return [*category.train_good, *(sample.path for sample in category.test)]


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


def _broken_images(paths: Sequence[Path], category: str, *, deep: bool) -> Iterator[str]:
    for path, error in _each(_decoding_error if deep else _checksum_error, paths, f"{category}: images"):
        if error:
            yield f"{path} is broken: {error}"


def _checksum_error(path: Path) -> str:
    return _error(path, lambda image: image.verify())


def _decoding_error(path: Path) -> str:
    return _error(path, lambda image: image.load())


def _error(path: Path, look: Callable[[Image.Image], object]) -> str:
    """Return what Pillow says against a file while ``look`` looks at it, nothing if it is sound."""
    try:
        with open_image(path) as image:
            look(image)
    except InputError as error:
        reason = error.__cause__ or error
        return str(reason) or type(reason).__name__
    return ""


def _odd_masks(category: Category, reported: Container[Path | None]) -> Iterator[str]:
    samples = [sample for sample in category.test if sample.path not in reported]
    images = {mask: sample.path for sample in samples for mask in mask_files(sample) if mask not in reported}
    sizes = {image: upright_size(image) for image in images.values()}
    for mask, found in _each(_mask_facts, list(images), f"{category.name}: masks"):
        if isinstance(found, str):
            yield found
            continue
        size, is_empty = found
        image = images[mask]
        if is_empty:
            yield f"{mask} is empty, but {image} should show a defect"
        if size != sizes[image]:
            is_, should_be = (f"{width}×{height}" for width, height in (size, sizes[image]))
            yield f"{mask} is {is_} pixels, its image {image} {should_be}"


def _mask_facts(path: Path) -> tuple[tuple[int, int], bool] | str:
    """Return (width, height) of a mask and whether it is empty, or what is wrong with it."""
    try:
        mask = read_mask(path)
    except InputError as error:
        return str(error)
    return (mask.shape[1], mask.shape[0]), not mask.any()


def _unused_files(category: Category) -> Iterator[str]:
    used = {*_images(category), *(mask for sample in category.test for mask in mask_files(sample))}
    folder = Path(commonpath({path.parent for path in used})) if used else None
    for path in sorted(folder.rglob("*")) if folder else ():
        parts = path.relative_to(str(folder)).parts
        if path.suffix.lower() not in IMAGE_SUFFIXES or path in used or any(part.startswith(".") for part in parts):
            continue
        if MASK_FOLDERS & set(parts):
            yield f"{path} is a mask without an image"
        elif "validation" not in parts:  # MVTec LOCO AD has it, and prompts leave it alone on purpose
            yield f"{path} is not used: it is neither a normal training image nor a test image"


def _each(look: Callable[[Path], Found], paths: Sequence[Path], what: str) -> Iterator[tuple[Path, Found]]:
    """Yield each path with what ``look`` says of it, in order, several looked at at once."""
    with ThreadPoolExecutor(READERS) as readers:
        bar = tqdm(readers.map(look, paths), total=len(paths), desc=what, leave=False, delay=1)
        yield from zip(paths, bar, strict=True)

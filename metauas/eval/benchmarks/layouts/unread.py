"""Pictures under a benchmark's root that no layout reads, found by their content."""

from collections.abc import Collection, Iterator
from pathlib import Path

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.folders import GOOD_NAMES
from metauas.eval.benchmarks.layouts.samples import Benchmark, Category, images_of, mask_files
from metauas.files.images import IMAGE_SUFFIXES
from metauas.files.listing import NOT_READ, LeftOut, entries, is_folder, is_picture, pictures_left_out
from metauas.files.masks import judge_mask

MASK_FOLDERS = {"ground_truth", "masks"}
#: Files that mark a folder of results, which users may write into a benchmark's root.
RESULTS = ("metrics.json", "results.json", "scores.csv", "gallery.html")


def left_out_of(benchmark: Benchmark, *, whole: bool) -> tuple[LeftOut, ...]:
    """Return the unused pictures of each category and, for a ``whole`` benchmark, those outside category folders.

    MVTec LOCO AD's folder ``validation`` and empty masks of normal images are ignored on purpose.
    """
    found = [item for category in benchmark.categories for item in _of_category(category)]
    return (*found, *(_strays(benchmark) if whole else ()))


def _of_category(category: Category) -> list[LeftOut]:
    folder = category.folder
    if folder is None or not is_folder(folder):
        return []
    used = {*images_of(category), *(mask for sample in category.test for mask in mask_files(sample))}
    return pictures_left_out(folder, used=used, reason=lambda path: _reason(path, folder, used))


def _reason(path: Path, folder: Path, used: Collection[Path]) -> str | None:
    places = path.relative_to(folder).parts[:-1]
    if "validation" in places or (places and _is_result(folder / places[0])):
        return None
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return NOT_READ
    if MASK_FOLDERS & {place.casefold() for place in places}:
        return _of_mask(path)
    if any(other.parent == path.parent.parent for other in used):
        return f"is not used: it is one folder deeper than the images of {path.parent.parent}"
    return "is not used: it is neither a normal training image nor a test image"


def _of_mask(path: Path) -> str | None:
    """Return why a mask is unused; None for an empty mask of a normal image, which some tools write."""
    if path.parent.name.casefold() not in GOOD_NAMES:
        return "is a mask without an image"
    try:
        marks = judge_mask(path).marked.any()
    except InputError as error:
        return str(error).removeprefix(f"{path} ")
    return "marks something in a normal image, which has no mask" if marks else None


def _strays(benchmark: Benchmark) -> Iterator[LeftOut]:
    folders = {category.folder for category in benchmark.categories}
    if benchmark.root in folders:
        return
    for entry in entries(benchmark.root):
        if entry in folders or _is_result(entry):
            continue
        if is_folder(entry):
            yield from pictures_left_out(entry, used=(), reason=lambda _: "is in the folder of no category")
        elif is_picture(entry):
            yield LeftOut(entry, "is in the folder of no category")


def _is_result(folder: Path) -> bool:
    return any((folder / name).exists() for name in RESULTS)

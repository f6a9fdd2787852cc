"""What is wrong with a benchmark on disk, collected so that one run shows all that has to be mended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts.samples import MEAN
from metauas.files.image_files import upright_size
from metauas.files.images import list_images

PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One thing to mend: in words, with the file and the category that it concerns, if any."""

    text: str
    category: str | None = None
    path: Path | None = None


class Problems(list[Problem]):
    """A list of problems that knows how to grow and how to be read."""

    def add(self, text: str, *, category: str | None = None, path: Path | None = None) -> None:
        """Append a problem."""
        self.append(Problem(text, category, path))

    def __str__(self) -> str:
        hidden = len(self) - PROBLEMS_SHOWN
        more = [f"and {hidden} more"] if hidden > 0 else []
        return "\n".join(f"  - {line}" for line in [*(p.text for p in self[:PROBLEMS_SHOWN]), *more])


def known_names(categories: Sequence[str] | None, found: list[str], problems: Problems) -> list[str]:
    """Return the categories asked for that are there, each once and in that order; by default all that are there."""
    if MEAN in found:
        problems.add(f"a category is called {MEAN!r}, as the mean over categories is in every table; rename its folder")
    if categories is None:
        return found
    wanted = [categories] if isinstance(categories, str) else list(dict.fromkeys(categories))
    choices = f"choose from {', '.join(found)}"
    if not wanted:
        problems.add(f"no category was asked for; {choices}")
    for name in wanted:
        if name not in found:
            problems.add(f"category {name!r} is not there{did_you_mean(name, found)}; {choices}")
    return [name for name in wanted if name in found]


def check_image(path: Path, problems: Problems, *, category: str) -> tuple[int, int] | None:
    """Return the size of an image as ``upright_size`` does; one that is missing or no image is a problem and None."""
    if not is_there(path, Path.is_file):
        problems.add(f"{path} is missing", category=category, path=path)
        return None
    try:
        return upright_size(path)
    except InputError as error:
        problems.add(str(error), category=category, path=path)
        return None


def is_there(path: Path, kind: Callable[[Path], bool]) -> bool:
    """Return what ``kind``, such as ``Path.is_dir``, says of a path; False where nobody can tell."""
    try:
        return kind(path)
    except OSError:  # of a name too long for any file, which a list may hold, or a folder that may not be entered
        return False


def check_mask(mask: Path, image: Path, problems: Problems, *, category: str, size: tuple[int, int] | None) -> None:
    """Check that a mask, a file or a folder of several, can be read and covers an image of ``size``.

    Another number of pixels is no problem, since both are resized; another shape would shift the mask.
    """
    files = list_images(mask) if is_there(mask, Path.is_dir) else [mask]
    if not files:
        problems.add(f"{mask} holds no mask; it belongs to {image}", category=category, path=mask)
    for path in files:
        found = check_image(path, problems, category=category)
        if found and size and not same_shape(found, size):
            is_, should_be = (f"{width}×{height}" for width, height in (found, size))
            text = f"{path} is {is_} pixels, its image {image} {should_be}; mend one of them"
            problems.add(text, category=category, path=path)


def same_shape(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether two sizes (width, height) have the same aspect ratio, up to rounding by a pixel."""
    wide, narrow = sorted((first, second), reverse=True)
    return abs(narrow[0] / wide[0] * wide[1] - narrow[1]) <= 1

"""Problems of a benchmark on disk, collected so that one error lists all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts.samples import MEAN
from metauas.files.decoding import upright_size
from metauas.files.images import list_images
from metauas.files.listing import check_name, is_folder

PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One problem: its text, with the category and file that it concerns, if any."""

    text: str
    category: str | None = None
    path: Path | None = None


class Problems(list[Problem]):
    """A list of problems; its text shows the first ``PROBLEMS_SHOWN``."""

    def add(self, text: str, *, category: str | None = None, path: Path | None = None) -> None:
        """Append a problem."""
        self.append(Problem(text, category, path))

    def __str__(self) -> str:
        hidden = len(self) - PROBLEMS_SHOWN
        more = [f"and {hidden} more"] if hidden > 0 else []
        return "\n".join(f"  - {line}" for line in [*(p.text for p in self[:PROBLEMS_SHOWN]), *more])


#: ``Problems.add`` with the category filled in: takes a text and, as a keyword, the path of the file.
AddProblem = Callable[..., None]


def known_names(categories: Sequence[str] | None, found: list[str], problems: Problems) -> list[str]:
    """Return the existing ones of the categories asked for, each once and in that order; by default all that exist."""
    if MEAN in found:
        problems.add(f"a category is called {MEAN!r}, as the mean over categories in all tables; rename its folder")
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


def check_image(path: Path, add: AddProblem) -> tuple[int, int] | None:
    """Return the size (width, height) of an image; None where it is missing, no image, or badly named: a problem."""
    if not _is_file(path):
        add(f"{path} is missing", path=path)
        return None
    try:
        check_name(path)
        return upright_size(path)
    except InputError as error:
        add(str(error), path=path)
        return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name from a list that is too long for any file, or a folder without the right to enter
        return False


def check_mask(mask: Path, image: Path, add: AddProblem, *, size: tuple[int, int] | None) -> None:
    """Check that a mask, a file or a folder of several, can be read and has the aspect ratio of its image.

    Another resolution is no problem, since both are resized.
    """
    files = list_images(mask) if is_folder(mask) else [mask]
    if not files:
        add(f"{mask} holds no mask; it belongs to {image}", path=mask)
    for path in files:
        found = check_image(path, add)
        if found and size and not same_shape(found, size):
            is_, should_be = (f"{width}×{height}" for width, height in (found, size))
            add(f"{path} is {is_} pixels, its image {image} {should_be}; mend one of them", path=path)


def same_shape(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether two sizes (width, height) have the same aspect ratio, up to rounding by a pixel."""
    wide, narrow = sorted((first, second), reverse=True)
    return abs(narrow[0] / wide[0] * wide[1] - narrow[1]) <= 1

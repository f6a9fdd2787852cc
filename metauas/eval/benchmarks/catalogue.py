"""Published facts of the field's benchmarks: source, licence and numbers of images, read from ``catalogue.yaml``."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from metauas.errors import check_choice
from metauas.files.yaml import read_mapping

UNKNOWN = "see its page"


@dataclass(frozen=True)
class Counts:
    """Numbers of images.

    Attributes:
        train: normal training images.
        good: good test images.
        defective: defective test images.
        validation: normal images for validation.
        unlabelled: test images without published labels, in each of their folders.
    """

    train: int
    good: int
    defective: int
    validation: int = 0
    unlabelled: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Source:
    """One benchmark as its authors publish it.

    Attributes:
        title: its name in papers.
        homepage: page with description and download.
        paper: to be cited.
        steps: shell commands and comments that lead to a folder to read.
        categories: counts by name, None if unknown.
        licence: of the images.
        size: of the download.
        total: counts of all categories together; given only if the counts of each are unknown.
        note: peculiarities.
        metrics: metrics of the benchmark's paper that evaluation gives in addition to the seven.
    """

    title: str
    homepage: str
    paper: str
    steps: tuple[str, ...]
    categories: Mapping[str, Counts | None]
    licence: str = UNKNOWN
    size: str = UNKNOWN
    total: Counts | None = None
    note: str = ""
    metrics: tuple[str, ...] = ()

    def counts(self) -> Counts | None:
        """Return the counts of all categories together, None if they are unknown."""
        known = [counts for counts in self.categories.values() if counts is not None]
        return self.total or (sum(known, Counts(0, 0, 0)) if known else None)


def find_source(name: str) -> Source:
    """Return a benchmark of ``CATALOGUE`` by name.

    Raises:
        InputError: the name is unknown; names the nearest one.
    """
    return CATALOGUE[check_choice(name="benchmark", value=name, choices=CATALOGUE)]


def _read() -> dict[str, Source]:
    content, _ = read_mapping(Path(__file__).with_suffix(".yaml"), example="mvtec:")
    return TypeAdapter(dict[str, Source]).validate_python(content)


#: By the name of their layout.
CATALOGUE = _read()

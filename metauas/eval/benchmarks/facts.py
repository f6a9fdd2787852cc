"""Facts about the pictures and masks of a category, and their faults; independent of the readers of evaluation."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import Category
from metauas.files import file_digest
from metauas.files.decoding import is_deep, open_image, rgb_bytes, upright, upright_size
from metauas.files.images import DARK_BELOW
from metauas.files.masks import MaskReading, judge_mask

READERS = 8  # threads; they mostly wait for files
_LARGE = 0.5  # share of an image that few defects cover
_OUTLIER = (0.3, 20)  # an outlier marks more than this share of its image, and than this multiple of the median
_FEW = 4  # with fewer masks there are no outliers
Found = TypeVar("Found")


def each(look: Callable[[Path], Found], paths: Sequence[Path], what: str) -> dict[Path, Found]:
    """Return ``look(path)`` of each path, by several threads."""
    with ThreadPoolExecutor(READERS) as readers:
        bar = tqdm(readers.map(look, paths), total=len(paths), desc=what, leave=False, delay=1)
        return dict(zip(paths, bar, strict=True))


# --- pictures


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """One picture: why it is broken, else its size (width, height), mode and, if it has 16 bits, brightest byte."""

    error: str = ""
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    brightest: int | None = None


def picture_facts(path: Path, *, deep: bool) -> PictureFacts:
    """Return the facts of a picture: by its header and checksums, or with ``deep`` by all of it."""
    try:
        with open_image(path) as image:
            mode, size, has_16_bits = image.mode, image.size, is_deep(image)
            if deep or has_16_bits:
                image.load()
            else:
                image.verify()
            brightest = int(rgb_bytes(upright(image)).max()) if has_16_bits else None
    except InputError as error:
        reason = error.__cause__ or error
        return PictureFacts(error=str(reason) or type(reason).__name__)
    return PictureFacts(size=size, mode=mode, brightest=brightest)


def faulty_pictures(pictures: Mapping[Path, PictureFacts]) -> Iterator[str]:
    """Yield the faults of a category's pictures: broken files, and 16-bit files that use few of their bits."""
    for path, facts in pictures.items():
        if facts.error:
            yield f"{path} is broken: {facts.error}"
    deep = {path: facts.brightest for path, facts in pictures.items() if facts.brightest is not None}
    greys = max(deep.values(), default=255) + 1
    if greys <= DARK_BELOW:
        yield (
            f"{len(deep)} pictures have 16 bits a channel, such as {next(iter(deep))}, but nothing in them is brighter "
            f"than {greys / 256:.1%} of white, so that {greys} of 256 greys are left; "
            "if their values have 10, 12 or 14 bits, multiply them by 64, 16 or 4"
        )


def mixed_pictures(pictures: Mapping[Path, PictureFacts]) -> Iterator[str]:
    """Yield a note for pictures of several sizes, and one for those of several modes."""
    whole = [facts for facts in pictures.values() if not facts.error]
    sizes = Counter("×".join(map(str, facts.size)) for facts in whole)
    modes = Counter(facts.mode + ("" if facts.brightest is None else " of 16 bits") for facts in whole)
    for what, counts in (("sizes", sizes), ("modes", modes)):
        if len(counts) > 1:
            some = ", ".join(f"{count} of {name}" for name, count in counts.most_common(3))
            yield f"its pictures are of {len(counts)} {what}: {some}" + (", …" if len(counts) > 3 else "")


def duplicates(category: Category, paths: Sequence[Path], *, deep: bool) -> Iterator[str]:
    """Yield the test images that are training images too: by their bytes, or with ``deep`` by their pixels."""
    train = set(category.train_good)
    sizes = {path: 0 if deep else path.stat().st_size for path in paths}
    common = {sizes[path] for path in train & sizes.keys()} & {sizes[path] for path in sizes.keys() - train}
    candidates = [path for path in paths if sizes[path] in common]
    digests = each(_pixel_digest if deep else file_digest, candidates, f"{category.name}: duplicates")
    first = {digest: path for path, digest in reversed(digests.items()) if path in train}
    for path, digest in digests.items():
        if path not in train and digest in first:
            yield f"{path} is the training image {first[digest]} again; take one of them out"


def _pixel_digest(path: Path) -> str:
    try:
        with open_image(path) as image:
            pixels = rgb_bytes(upright(image))
    except InputError:  # a mode that is not read, which evaluation reports
        return file_digest(path)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


# --- masks


@dataclass(frozen=True, kw_only=True)
class MaskFacts:
    """One mask: its own faults, how it is read (None if it cannot be; without its pixels), and the share it marks."""

    faults: list[str]
    reading: MaskReading | None = None
    share: float = 0.0


def mask_facts(path: Path, *, images: Mapping[Path, Path]) -> MaskFacts:
    """Return the facts of a mask, by all of it."""
    image = images[path]
    try:
        reading, expected = judge_mask(path), upright_size(image)
    except InputError as error:
        return MaskFacts(faults=[str(error)])
    faults = []
    if reading.kind == "empty":
        faults.append(f"{path} is empty, but {image} should show a defect")
    if reading.doubt:
        faults.append(f"{path} {reading.doubt}")
    height, width = reading.marked.shape
    if (width, height) != expected:
        faults.append(f"{path} is {width}×{height} pixels, its image {image} {expected[0]}×{expected[1]}")
    share = float(reading.marked.mean())
    light = replace(reading, marked=np.empty((0, 0), bool))  # thousands of masks are kept
    return MaskFacts(faults=faults, reading=light, share=share)


def faulty_masks(masks: Mapping[Path, MaskFacts]) -> Iterator[str]:
    """Yield the faults of a category's masks."""
    for facts in masks.values():
        yield from facts.faults
    yield from _some(
        masks,
        lambda reading: reading.lossy or reading.kind == "soft",
        "are of a lossy format or have soft edges, such as {}; values from half of their brightest one on are read as "
        "marked: save masks as PNG of 0 and 255",
    )
    yield from _some(
        masks,
        lambda reading: reading.alpha,
        "have one colour everywhere, so that they would mark 100 % or nothing, such as {}; their alpha channel is read "
        "instead: save masks as PNG of 0 and 255",
    )
    yield from _outliers(masks)


def _some(masks: Mapping[Path, MaskFacts], is_so: Callable[[MaskReading], bool], text: str) -> Iterator[str]:
    """Yield the number of masks with ``is_so`` and ``text``, filled with the first of them; nothing without any."""
    if some := [path for path, facts in masks.items() if facts.reading and is_so(facts.reading)]:
        yield f"{len(some)} of {len(masks)} masks {text.format(some[0])}"


def _outliers(masks: Mapping[Path, MaskFacts]) -> Iterator[str]:
    median, (least, times) = median_share(masks), _OUTLIER
    if median is None or len(masks) < _FEW:
        return
    for path, facts in masks.items():
        is_reported = facts.reading is None or facts.reading.doubt
        if not is_reported and facts.share > max(least, times * median):
            yield f"{path} marks {facts.share:.0%} of its image, the median of its category {median:.1%}"


def note_masks(masks: Mapping[Path, MaskFacts]) -> Iterator[str]:
    """Yield notes on masks that are read correctly: masks with several values, and large ones."""
    several = "hold several values, such as {}; all above 0 are marked"
    yield from _some(masks, lambda reading: reading.kind == "labels", several)
    if large := [path for path, facts in masks.items() if facts.share > _LARGE]:
        yield f"{len(large)} of {len(masks)} masks mark more than {_LARGE:.0%} of their images, such as {large[0]}"


def median_share(masks: Mapping[Path, MaskFacts]) -> float | None:
    """Return the median share of an image that a mask marks; None without a mask that can be read."""
    shares = [facts.share for facts in masks.values() if facts.reading]
    return float(np.median(shares)) if shares else None

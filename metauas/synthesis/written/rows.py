"""Rows of a shard: one pair each with encoded images; a pair with a broken source image is drawn again."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from metauas.errors import InputError
from metauas.files.images import IMAGE_SUFFIXES, to_uint8
from metauas.seeding import rng_for
from metauas.synthesis.pairs import ChangePair
from metauas.synthesis.recipe import SynthesisSettings
from metauas.synthesis.written.record import paths_of

Synthesize = Callable[[np.random.Generator], ChangePair]

ATTEMPTS = 20  # if half of all images are broken, all attempts fail once in a million pairs


@dataclass(frozen=True)
class Skipped:
    """An image that could not be used for a pair.

    Attributes:
        index: the pair's number in its split.
        file: the image, relative to the folder of its source; empty if the error names none.
        error: the error.
    """

    index: int
    file: str
    error: str


def draw_pair(
    synthesize: Synthesize, *, settings: SynthesisSettings, split: str, index: int, skipped: list[Skipped]
) -> ChangePair:
    """Draw pair ``index`` as ``PairDataset`` does; after a failure, with a generator of the attempt.

    Each failure is added to ``skipped``.

    Raises:
        InputError: all attempts failed; names the last failure.
    """
    for attempt in range(ATTEMPTS):
        key = (settings.seed, split, index, attempt)
        try:
            return synthesize(rng_for(*(key if attempt else key[:3])))
        except InputError as error:
            skipped.append(_explained(str(error), settings=settings, index=index))
    raise InputError(f"pair {index} of {split} failed {ATTEMPTS} times, the last time because {skipped[-1].error}")


def make_row(pair: ChangePair, *, settings: SynthesisSettings, index: int) -> dict[str, Any]:
    """Return the pair as a row: images as bytes of PNG or JPEG files, the mask as a PNG of 0 and 255."""
    quality = settings.jpeg_quality
    return {
        "query": _encoded(to_uint8(pair.query), quality=quality),
        "prompt": _encoded(to_uint8(pair.prompt), quality=quality),
        "mask": _encoded(pair.mask[0].numpy().astype(np.uint8) * 255, quality=None),
        "kind": pair.kind,
        "source": _without_folders(pair.source, settings=settings),
        "index": index,
        "seed": settings.seed,
        "size": settings.size,
    }


def _encoded(pixels: np.ndarray, *, quality: int | None) -> dict[str, Any]:
    """Return (H, W, 3) RGB or (H, W) grey bytes as ``datasets`` keeps an image: a PNG or JPEG file."""
    image = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    suffix, options = (".png", []) if quality is None else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
    return {"bytes": cv2.imencode(suffix, image, options)[1].tobytes(), "path": None}


def _explained(message: str, *, settings: SynthesisSettings, index: int) -> Skipped:
    """The package's errors about an image begin with its name."""
    error = _without_folders(message, settings=settings)
    endings = "|".join(re.escape(ending) for ending in IMAGE_SUFFIXES)
    named = re.match(rf"(?:file )?(.+?(?:{endings}))(?=\s|$)", error, flags=re.IGNORECASE)
    return Skipped(index=index, file=named.group(1) if named else "", error=error)


def _without_folders(text: str, *, settings: SynthesisSettings) -> str:
    """Make names relative to their folder, so that they do not depend on its place and do not publish it."""
    for folder in paths_of(settings).values():
        text = text.replace(f"{folder}/", "").replace(str(folder), folder.name)
    return text

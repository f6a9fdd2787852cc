"""Thresholds from a category's normal validation images, for the same prompts as its test images."""

import logging

import numpy as np
from jaxtyping import Float32

from metauas.errors import InputError
from metauas.eval.benchmarks.catalogue import CATALOGUE
from metauas.eval.benchmarks.layouts import Benchmark, Category
from metauas.eval.benchmarks.layouts.samples import as_test_images
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.images.calibration import check_enough, conformal_threshold
from metauas.eval.settings import EvalSettings

#: Share of normal images that may have a pixel above the threshold: the lowest that MVTec AD 2's 19 images allow.
FALSE_POSITIVE_RATE = 0.05
#: Prompts that exist for any image of a category, not only for its test images.
PROMPTS_OF_ANY_IMAGE = ("random", "nearest", "pool")
_log = logging.getLogger("metauas")


def extra_metrics(benchmark: Benchmark) -> tuple[str, ...]:
    """Return the metrics that a benchmark's paper uses in addition to the seven; most benchmarks have none."""
    source = CATALOGUE.get(benchmark.layout)
    return source.metrics if source else ()


def check_validation(category: Category, settings: EvalSettings) -> None:
    """Check that a threshold can be calibrated for a category.

    Raises:
        InputError: it has too few validation images, or the prompts are chosen for test images alone.
    """
    if settings.prompt not in PROMPTS_OF_ANY_IMAGE:
        known = ", ".join(PROMPTS_OF_ANY_IMAGE)
        raise InputError(f"prompt={settings.prompt!r} gives no prompts for validation images; choose one of {known}")
    try:
        check_enough(len(category.validation), FALSE_POSITIVE_RATE)
    except InputError as error:
        raise InputError(f"category {category.name!r}, folder validation: {error}") from error


def validation_queries(category: Category, settings: EvalSettings) -> Queries | None:
    """Return the validation images of a category as queries; None, with a warning, without enough of them."""
    try:
        check_validation(category, settings)
    except InputError as error:
        _log.warning("no SegF1 is computed: %s", error)
        return None
    return Queries(as_test_images(category, category.validation), size=settings.size)


def maps_threshold(maps: Float32[np.ndarray, "n h w"]) -> float:
    """Return the threshold that a new normal image's map exceeds with probability ``FALSE_POSITIVE_RATE`` at most."""
    return conformal_threshold(maps.max(axis=(1, 2)), FALSE_POSITIVE_RATE)

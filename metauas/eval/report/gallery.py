"""A gallery of test images, failures first, gathered during an evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from metauas.eval.benchmarks.layouts import Benchmark, Category
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.evaluation import TakeMaps
from metauas.eval.images.regions import Contour, enlarge_map, find_regions
from metauas.eval.prompts.selection import Prompt
from metauas.eval.prompts.strategies import create_strategy
from metauas.eval.report.curves import Curve, category_curves
from metauas.eval.settings import EvalSettings
from metauas.files.images import stack_images, to_uint8, write_png
from metauas.files.maps import write_map
from metauas.metrics.ranking import average_precision, rank, rank_pixels
from metauas.plots import draw_contours
from metauas.seeding import rng_for

WORST, BEST, FIXED = 2, 1, 1
#: Side of the pictures, pixels; hundreds of them fit into memory and into one page.
SIDE = 192
#: Largest numbers of cases and of fixed cases of all categories together, so that memory is bounded.
MOST, MOST_FIXED = 100, 30


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test image with its prediction.

    Attributes:
        category: its category.
        defect: kind of defect, ``good`` without one.
        name: path of the image in the benchmark.
        label: True if it is anomalous.
        error: error of its map, in [0, 1] (see ``image_errors``).
        score: maximum of its map.
        threshold: that of the category's P-F1max; NaN without any mask, and then there are no contours.
        fails: whether it is one of the worst images instead of the best.
        prompt: the first normal image of its prompt.
        truth: the image with the outline of the true mask.
        map: the map divided by the highest score in the category, in [0, 1].
        found: the image with the contours of the map at the threshold.
    """

    category: str
    defect: str
    name: str
    label: bool
    error: float
    score: float
    threshold: float
    fails: bool
    prompt: UInt8[np.ndarray, "s s 3"]
    truth: UInt8[np.ndarray, "s s 3"]
    map: Float32[np.ndarray, "s s"]
    found: UInt8[np.ndarray, "s s 3"]

    @property
    def title(self) -> str:
        """Category, kind of defect and error in words."""
        return f"{self.category}: {self.defect}, error {self.error:.2f}"


class MapGatherer:
    """Gathers curves and cases from the maps of an evaluation; pass it to ``evaluate`` as ``on_maps``.

    Only the first prompt seed is used. Of more than ``MOST`` cases, the largest failures and the best cases are kept.
    Prompts are chosen a second time, which is a small part of an evaluation.

    Args:
        benchmark: the benchmark of the evaluation.
        settings: those of the evaluation.
        embed: the network's ``embed``.
        worst: number of good and of defective images with the largest errors, per category.
        best: number of defective images with the smallest errors, per category.
        fixed: number of defective images per category that do not depend on network, prompts and seed.

    Attributes:
        curves: thinned curves of each category, by metric (see ``category_curves``).
        cases: the worst and best images so far.
        fixed_cases: the fixed ones, to compare evaluations.

    Raises:
        InputError: as ``create_strategy``.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        settings: EvalSettings,
        *,
        embed: Callable[[Tensor], Tensor],
        worst: int = WORST,
        best: int = BEST,
        fixed: int = FIXED,
    ) -> None:
        self.curves: dict[str, dict[str, Curve]] = {}
        self.cases: list[Case] = []
        self.fixed_cases: list[Case] = []
        self._root = benchmark.root
        self._strategy = create_strategy(settings, benchmark, embed=embed)
        self._size, self._worst, self._best, self._fixed = settings.size, worst, best, fixed

    def __call__(self, category: Category, seed: int, maps: Float[np.ndarray, "n h w"]) -> None:
        """Add the maps (N, H, W) of all test images of a category, in their order."""
        if category.name in self.curves:
            return
        queries = Queries(category, size=self._size)
        curves = category_curves(maps, queries.masks, queries.labels)
        self.curves[category.name] = {metric: curve.thinned() for metric, curve in curves.items()}
        errors = image_errors(maps, queries.masks, queries.labels)
        prompts = self._strategy.choose(queries, seed=seed)
        threshold = pixel_threshold(maps, queries.masks)
        kinds = (queries.labels, ~queries.labels)
        failing = [i for kind in kinds for i in _largest(np.where(kind, errors, np.nan), count=self._worst)]
        best = _largest(np.where(queries.labels, -errors, np.nan), count=self._best)
        scale = float(maps.max()) or 1.0

        def case(index: int, *, fails: bool) -> Case:
            about = {"error": float(errors[index]), "threshold": threshold, "fails": fails}
            return self._case(queries, index, prompts[index], maps[index], scale=scale, **about)

        chosen = [case(index, fails=index in failing) for index in dict.fromkeys([*failing, *best])]
        self.cases = _most_telling([*self.cases, *chosen], count=MOST)
        fixed = _fixed(category, count=min(self._fixed, MOST_FIXED - len(self.fixed_cases)))
        self.fixed_cases += [case(index, fails=False) for index in fixed]

    def _case(
        self,
        queries: Queries,
        index: int,
        prompt: Prompt,
        values: np.ndarray,
        *,
        scale: float,
        threshold: float,
        **about: Any,
    ) -> Case:
        sample = queries.category.test[index]
        query = _shown(queries.images([index])[0])
        side = query.shape[0]
        return Case(
            category=queries.category.name,
            defect=sample.defect,
            name=sample.path.relative_to(self._root).as_posix(),
            label=sample.label,
            score=float(values.max()),
            threshold=threshold,
            prompt=_shown(stack_images(prompt[:1], size=self._size)[0]),
            truth=draw_contours(query, _contours(queries.masks[index].astype(np.float32), 0.5, side=side)),
            map=enlarge_map((values / scale).astype(np.float32), (side, side)),
            found=draw_contours(query, _contours(values.astype(np.float32), threshold, side=side)),
            **about,
        )


def each_of(*takers: TakeMaps | None) -> TakeMaps:
    """Return an ``on_maps`` that calls several ones in their order, without None."""

    def take(category: Category, seed: int, maps: np.ndarray) -> None:
        for taker in takers:
            if taker is not None:
                taker(category, seed, maps)

    return take


def failures_first(cases: Sequence[Case]) -> list[Case]:
    """Return cases with the largest errors first."""
    return sorted(cases, key=lambda case: (-case.error, case.category, case.name))


def _most_telling(cases: list[Case], *, count: int) -> list[Case]:
    """Return at most ``count`` cases in their order: up to a fifth are the best, the others the largest failures."""
    if len(cases) <= count:
        return cases
    failing = failures_first([case for case in cases if case.fails])
    best = failures_first([case for case in cases if not case.fails])[::-1][: count // 5]
    kept = {id(case) for case in (*best, *failing[: count - len(best)])}
    return [case for case in cases if id(case) in kept]


def image_errors(
    maps: Float[np.ndarray, "n h w"], masks: Bool[np.ndarray, "n h w"], labels: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return the error (N,) of the map of each image of a category, in [0, 1].

    - With a mask: 1 − average precision of the image's pixels.
    - Without a mask: the share of images of the other label that the image's score ranks wrongly against; ties count
      half. The mean over good images is 1 − I-AUROC. NaN if there is no image of the other label.
    """
    scores = maps.max(axis=(1, 2))
    errors = np.full(len(maps), np.nan)
    for index, (values, mask) in enumerate(zip(maps, masks, strict=True)):
        if mask.any():
            errors[index] = 1 - average_precision(rank(values[mask], [values[~mask]], n_negatives=int((~mask).sum())))
        elif (others := scores[labels != labels[index]]).size:
            wrong = others < scores[index] if not labels[index] else others > scores[index]
            errors[index] = (wrong + 0.5 * (others == scores[index])).mean()
    return errors


def pixel_threshold(maps: Float[np.ndarray, "n h w"], masks: Bool[np.ndarray, "n h w"]) -> float:
    """Return the threshold of P-F1max, at or above which pixels count as defective; NaN without any mask."""
    pixels = rank_pixels(list(maps), list(masks))
    if pixels.n_positives == 0:
        return float("nan")
    found = pixels.positives_from
    return float(pixels.levels[np.argmax(found / (found + pixels.negatives_from + pixels.n_positives))])


def write_cases(cases: Sequence[Case], folder: str | Path) -> list[Path]:
    """Write prompt, outlined query and map of each case as PNG files, and return their folders.

    A folder is named after the image; the map is 16-bit grey, divided by the highest score in the category.
    """
    return [_write_case(case, Path(folder)) for case in cases]


def _write_case(case: Case, folder: Path) -> Path:
    target = folder / Path(case.name).with_suffix("").as_posix().replace("/", "--")
    write_png(target / "prompt.png", case.prompt)
    write_png(target / "query.png", case.truth)
    write_map(target / "map.png", case.map)
    return target


def _fixed(category: Category, *, count: int) -> list[int]:
    defective = [index for index, sample in enumerate(category.test) if sample.label]
    chosen = rng_for(0, category.name, "fixed").permutation(len(defective))[:count]
    return [defective[index] for index in chosen]


def _largest(values: Float[np.ndarray, " n"], *, count: int) -> list[int]:
    order = np.argsort(-values, kind="stable")  # NaN comes last
    return [int(index) for index in order[:count] if not np.isnan(values[index])]


def _shown(image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "s s 3"]:
    """Return an image as bytes at ``SIDE``; small images are enlarged, so that lines in them stay thin."""
    pixels = to_uint8(image)
    flag = cv2.INTER_AREA if pixels.shape[0] > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=flag))


def _contours(values: Float32[np.ndarray, "h w"], threshold: float, *, side: int) -> list[Contour]:
    """Return the contours of values at or above the threshold, in a picture of ``side`` pixels."""
    if np.isnan(threshold):
        return []
    regions = find_regions(values, float(np.nextafter(threshold, -np.inf)))  # which are strictly above
    scale = side / values.shape[0]
    corners = (contour for region in regions for contour in region.contours)
    return [np.rint((contour + 0.5) * scale - 0.5).astype(np.int32) for contour in corners]

"""A gallery of test images, failures first, gathered during an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from metauas.eval.benchmarks.layouts import Benchmark
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.images.drawing import fit_picture
from metauas.eval.images.regions import Contour, enlarge_map, find_regions
from metauas.eval.prompts.selection import Prompt
from metauas.eval.report.curves import Curve, category_curves
from metauas.files.images import stack_images, to_uint8, write_png
from metauas.files.maps import write_map
from metauas.metrics.checks import Labels, Maps, Masks
from metauas.metrics.ranking import average_precision, f1_at_levels, rank, rank_pixels
from metauas.plots import draw_contours
from metauas.seeding import rng_for

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

    Args:
        benchmark: the benchmark of the evaluation.
        worst: number of good and of defective images with the largest errors, per category.
        best: number of defective images with the smallest errors, per category.

    Attributes:
        curves: thinned curves of each category, by metric (see ``category_curves``).
        cases: the worst and best images so far.
        fixed_cases: a defective image of each category, at most ``MOST_FIXED`` in all. They do not depend on network,
            prompts and seed, so that evaluations can be compared.
    """

    def __init__(self, benchmark: Benchmark, *, worst: int = 2, best: int = 1) -> None:
        self.curves: dict[str, dict[str, Curve]] = {}
        self.cases: list[Case] = []
        self.fixed_cases: list[Case] = []
        self._root, self._worst, self._best = benchmark.root, worst, best

    def __call__(self, queries: Queries, prompts: Sequence[Prompt], seed: int, maps: Maps) -> None:
        """Add the maps (N, H, W) of all test images of a category, in their order."""
        name = queries.category.name
        if name in self.curves:
            return
        curves = category_curves(maps, queries.masks, queries.labels)
        self.curves[name] = {metric: curve.thinned() for metric, curve in curves.items()}
        errors = image_errors(maps, queries.masks, queries.labels)
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
        defective = np.flatnonzero(queries.labels)
        if len(defective) and len(self.fixed_cases) < MOST_FIXED:
            index = int(rng_for(0, name, "fixed").permutation(defective)[0])
            self.fixed_cases.append(case(index, fails=False))

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
        query, prompt_image = (
            fit_picture(to_uint8(image), longest=SIDE)
            for image in (queries.images([index])[0], stack_images(prompt[:1], size=queries.size)[0])
        )
        return Case(
            category=queries.category.name,
            defect=sample.defect,
            name=sample.path.relative_to(self._root).as_posix(),
            label=sample.label,
            score=float(values.max()),
            threshold=threshold,
            prompt=prompt_image,
            truth=draw_contours(query, _contours(queries.masks[index].astype(np.float32), 0.5)),
            map=enlarge_map((values / scale).astype(np.float32), (SIDE, SIDE)),
            found=draw_contours(query, _contours(values.astype(np.float32), threshold)),
            **about,
        )


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


def image_errors(maps: Maps, masks: Masks, labels: Labels) -> Float[np.ndarray, " n"]:
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


def pixel_threshold(maps: Maps, masks: Masks) -> float:
    """Return the threshold of P-F1max, at or above which pixels count as defective; NaN without any mask."""
    pixels = rank_pixels(list(maps), list(masks))
    return float(pixels.levels[np.argmax(f1_at_levels(pixels))]) if pixels.n_positives else float("nan")


def write_cases(cases: Sequence[Case], folder: str | Path) -> list[Path]:
    """Write prompt, outlined query and map of each case as PNG files, and return their folders.

    A folder is named after the image; the map is 16-bit grey, divided by the highest score in the category.
    """
    folders = [Path(folder) / Path(case.name).with_suffix("").as_posix().replace("/", "--") for case in cases]
    for case, target in zip(cases, folders, strict=True):
        write_png(target / "prompt.png", case.prompt)
        write_png(target / "query.png", case.truth)
        write_map(target / "map.png", case.map)
    return folders


def _largest(values: Float[np.ndarray, " n"], *, count: int) -> list[int]:
    order = np.argsort(-values, kind="stable")  # NaN comes last
    return [int(index) for index in order[:count] if not np.isnan(values[index])]


def _contours(values: Float32[np.ndarray, "h w"], threshold: float) -> list[Contour]:
    """Return the contours of values at or above the threshold, in a picture of ``SIDE`` pixels."""
    if np.isnan(threshold):
        return []
    regions = find_regions(values, float(np.nextafter(threshold, -np.inf)))  # which are strictly above
    scale = SIDE / values.shape[0]
    corners = (contour for region in regions for contour in region.contours)
    return [np.rint((contour + 0.5) * scale - 0.5).astype(np.int32) for contour in corners]

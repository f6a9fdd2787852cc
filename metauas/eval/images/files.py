"""Segmenting image files: one or several prompts, any number of queries, a heat map and perhaps a verdict for each."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from metauas.errors import InputError
from metauas.eval.images.drawing import draw_verdict
from metauas.eval.images.regions import Region, enlarge_map, find_regions
from metauas.eval.network import PromptedNetwork, check_evaluation_mode
from metauas.files import write_json, write_text
from metauas.files.images import list_images, read_image, resize_images, stack_images, to_tensor, write_png
from metauas.plots import overlay

SCORES_NAME = "scores.csv"
RESULTS_NAME = "results.json"


@dataclass(frozen=True)
class SegmentedFile:
    """A segmented query.

    Attributes:
        query: its file.
        overlay: the picture written for it.
        score: the maximum of its map.
        verdict: ``OK`` or ``DEFECTIVE``; empty without a threshold.
        regions: what is above the threshold, in pixels of the query.
    """

    query: Path
    overlay: Path
    score: float
    verdict: str = ""
    regions: tuple[Region, ...] = ()


def segment_files(
    model: PromptedNetwork,
    *,
    prompts: Sequence[str | Path],
    queries: Sequence[str | Path],
    out: str | Path,
    size: int,
    threshold: float | None = None,
) -> Iterator[SegmentedFile]:
    """Segment files one by one and write ``<stem>_overlay.png`` for each, in the query's own size, into ``out``.

    Queries of one stem are told apart by their suffix or their folders. Everything is checked before the first file is
    segmented.

    Args:
        model: the network, in evaluation mode.
        prompts: normal images; each query is compared with all of them.
        queries: the images under test.
        out: folder for the overlays.
        size: side to which images are resized for the network, pixels.
        threshold: a query with a higher score is ``DEFECTIVE``, and its regions above it are found and outlined; None
            gives no verdict. See ``calibrate``.

    Raises:
        InputError: naming a file that cannot be read, a query that is given twice, or an overlay that would be written
            over a query or a prompt.
    """
    paths = [Path(query) for query in queries]
    check_queries(paths)
    targets = overlay_paths(out, paths)
    _check_targets(targets, images=[*paths, *map(Path, prompts)])
    maps = segment_each(model, prompts=prompts, queries=paths, size=size)
    for target, (path, image, anomaly_map) in zip(targets, maps, strict=True):
        enlarged = enlarge_map(anomaly_map, (image.shape[0], image.shape[1]))
        score = float(anomaly_map.max())
        if threshold is None:
            write_png(target, overlay(image, enlarged))
            yield SegmentedFile(query=path, overlay=target, score=score)
            continue
        regions = tuple(find_regions(enlarged, threshold))
        verdict = "DEFECTIVE" if score > threshold else "OK"
        write_png(target, draw_verdict(image, enlarged, regions=regions, verdict=verdict, score=score))
        yield SegmentedFile(query=path, overlay=target, score=score, verdict=verdict, regions=regions)


def segment_each(
    model: PromptedNetwork, *, prompts: Sequence[str | Path], queries: Sequence[Path], size: int
) -> Iterator[tuple[Path, UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "size size"]]]:
    """Yield each query's file, its image (H, W, 3) and its map (size, size).

    One at a time, so that a score never depends on what else was in the batch, and a threshold fits to the last bit.

    Raises:
        InputError: there is no prompt, the network is in training mode, or its map is not a number somewhere.
    """
    check_evaluation_mode(model)
    encoded = _encoded(model, prompts, size=size)
    for path in queries:
        image = read_image(path)
        query = resize_images(to_tensor(image)[None], (size, size))
        anomaly_map = model.segment(query, encoded)[0, 0].float().cpu().numpy()
        if not np.isfinite(anomaly_map).all():
            raise InputError(f"the network's map of {path} is not a number somewhere; its weights may be damaged")
        yield path, image, anomaly_map


def _encoded(model: PromptedNetwork, prompts: Sequence[str | Path], *, size: int) -> Any:
    if not prompts:
        raise InputError("no prompt given; name at least one normal image")
    shown = stack_images([Path(prompt) for prompt in prompts], size=size)
    return model.encode_prompt(shown if len(shown) == 1 else shown[None])


def overlay_paths(out: str | Path, queries: Sequence[Path]) -> list[Path]:
    """Return where the overlay of each query goes: named by its stem, or where stems meet by suffix and folders too.

    Raises:
        InputError: a query is given twice.
    """
    resolved = [query.resolve() for query in queries]
    if twice := [path for path, count in Counter(resolved).items() if count > 1]:
        raise InputError(f"query {twice[0]} is given twice; give it once")
    deepest = max((len(path.parts) for path in resolved), default=1)
    for depth in range(1, deepest + 1):
        for name in ("stem", "name"):
            names = ["-".join([*path.parts[-depth:-1], getattr(path, name)]).replace("/", "") for path in resolved]
            if len(set(names)) == len(names):
                return [Path(out) / f"{name}_overlay.png" for name in names]
    raise InputError("the queries' paths cannot be told apart as names of overlays; segment them folder by folder")


def find_queries(given: Sequence[Path]) -> list[Path]:
    """Return the images that are meant: files as they are, of folders the images in them, sorted by name.

    Raises:
        InputError: a folder holds no image.
    """
    found: list[Path] = []
    for path in given:
        images = list_images(path) if path.is_dir() else [path]
        if not images:
            raise InputError(f"folder {path} holds no image; give a folder of png, jpg, … files, or the files")
        found += images
    return found


def _check_targets(targets: Sequence[Path], *, images: Sequence[Path]) -> None:
    given = {image.resolve() for image in images}
    for target in targets:
        if target.resolve() in given:
            raise InputError(f"{target} would take the place of an image that was given; choose another folder")


def check_queries(paths: Sequence[Path]) -> None:
    """Check that there are queries, and that each can be read.

    Raises:
        InputError: naming the file.
    """
    if not paths:
        raise InputError("no query given; name at least one image to be segmented")
    for path in paths:
        read_image(path)


def write_results(out: str | Path, results: Sequence[SegmentedFile], *, about: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write ``scores.csv`` (a row a query) and ``results.json`` (with regions) into ``out`` and return their paths.

    Args:
        out: the folder.
        results: what ``segment_files`` gave, with verdicts.
        about: what it was made with (threshold, prompt, size), for the head of ``results.json``.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["query", "score", "verdict", "regions", "defective share"])
    rows.writerows([r.query, r.score, r.verdict, len(r.regions), sum(g.share for g in r.regions)] for r in results)
    images = [_as_json(result) for result in results]
    return (
        write_text(Path(out) / SCORES_NAME, table.getvalue()),
        write_json(Path(out) / RESULTS_NAME, {**about, "images": images}),
    )


def _as_json(result: SegmentedFile) -> dict[str, Any]:
    regions = [{k: v for k, v in asdict(region).items() if k != "contours"} for region in result.regions]
    return {
        "query": str(result.query),
        "overlay": str(result.overlay),
        "score": result.score,
        "verdict": result.verdict,
        "regions": regions,
    }

"""Segmentation of image files: heat maps and, with a threshold, verdicts."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from metauas.errors import InputError, OutputError
from metauas.eval.images.drawing import draw_verdict
from metauas.eval.images.records import Records, SegmentedFile
from metauas.eval.images.regions import enlarge_map, find_regions
from metauas.eval.interface import PromptedNetwork, check_evaluation_mode
from metauas.files import write_json, write_text
from metauas.files.images import list_images, read_image, resize_images, to_tensor, write_png
from metauas.files.listing import check_name, is_folder
from metauas.files.pages import render_page
from metauas.model import TiledNetwork
from metauas.plots import overlay

SCORES_NAME = "scores.csv"
RESULTS_NAME = "results.json"
GALLERY_NAME = "gallery.html"
_NAME_BYTES = 255  # of a file, in common file systems


def segment_files(
    model: PromptedNetwork,
    *,
    prompts: Sequence[Path],
    overlays: Mapping[Path, Path],
    size: int,
    threshold: float | None = None,
    records: Records | None = None,
) -> Iterator[SegmentedFile]:
    """Segment queries one by one, and write the overlay of each, in the query's size.

    Args:
        model: the network, in evaluation mode.
        prompts: normal images; each query is compared with all of them.
        overlays: the file to write for each query, by ``plan_overlays``.
        size: side to which images are resized for the network, pixels; a ``TiledNetwork`` sees them as they are.
        threshold: a query with a higher score is ``DEFECTIVE``, and regions above it are outlined; None gives no
            verdict. See ``calibrate``.
        records: results of an earlier run, which are yielded in place of a new segmentation, and of this one.

    Raises:
        InputError: as ``segment_each``.
    """
    known = {query: records.find(query, target) if records else None for query, target in overlays.items()}
    left = [query for query, found in known.items() if found is None]
    maps = segment_each(model, prompts=prompts, queries=left, size=size)
    for query, target in overlays.items():
        result = known[query]
        if result is None:
            _, image, anomaly_map = next(maps)
            result = _write_overlay(target, query, image, anomaly_map, threshold=threshold)
            if records is not None:
                records.add(result)
        yield result


def plan_overlays(queries: Sequence[Path], *, prompts: Sequence[Path], out: str | Path) -> dict[Path, Path]:
    """Return the file in ``out`` for the overlay of each query (``overlay_paths``).

    Each query and prompt is read once, so that a damaged file is named before any segmentation.

    Raises:
        InputError: there is no query, one is given twice, a file cannot be read, its name is too long or not UTF-8, or
            an overlay would replace a query or a prompt; names it.
    """
    if not queries:
        raise InputError("no query given; name at least one image to be segmented")
    given = (*queries, *prompts)
    for path in given:
        check_name(path)
        read_image(path)
    targets = overlay_paths(out, queries)
    files = {path.resolve() for path in given}
    if taken := [target for target in targets if target.resolve() in files]:
        raise InputError(f"{taken[0]} would take the place of an image that was given; choose another folder")
    return dict(zip(queries, targets, strict=True))


def _write_overlay(
    target: Path,
    path: Path,
    image: UInt8[np.ndarray, "h w 3"],
    anomaly_map: Float32[np.ndarray, "h2 w2"],
    *,
    threshold: float | None,
) -> SegmentedFile:
    enlarged = enlarge_map(anomaly_map, (image.shape[0], image.shape[1]))
    score = float(anomaly_map.max())
    if threshold is None:
        write_png(target, overlay(image, enlarged))
        return SegmentedFile(query=path, overlay=target, score=score)
    regions = tuple(find_regions(enlarged, threshold))
    verdict = "DEFECTIVE" if score > threshold else "OK"
    write_png(target, draw_verdict(image, enlarged, regions=regions, verdict=verdict, score=score))
    return SegmentedFile(query=path, overlay=target, score=score, verdict=verdict, regions=regions)


def segment_each(
    model: PromptedNetwork, *, prompts: Sequence[str | Path], queries: Sequence[Path], size: int
) -> Iterator[tuple[Path, UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "h2 w2"]]]:
    """Yield each query's file, its image (H, W, 3) and its map, (size, size) or of a ``TiledNetwork`` (H, W).

    Queries are segmented one at a time, so that scores and thresholds are independent of batches, to the last bit.

    Raises:
        InputError: there is no prompt, the network is in training mode, its map is not finite, or a file is no image.
    """
    check_evaluation_mode(model)
    if not prompts:
        raise InputError("no prompt given; name at least one normal image")
    side = None if isinstance(model, TiledNetwork) else size
    shown = _stacked([read_image(prompt) for prompt in prompts], size=side)
    encoded = model.encode_prompt(shown if len(shown) == 1 else shown[None])
    for path in queries:
        image = read_image(path)
        query = _stacked([image], size=side)
        anomaly_map = model.segment(query, encoded)[0, 0].float().cpu().numpy()
        if not np.isfinite(anomaly_map).all():
            raise InputError(f"the network's map of {path} is not finite; its weights may be damaged")
        yield path, image, anomaly_map


def _stacked(images: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, size: int | None) -> Float[Tensor, "b 3 h2 w2"]:
    """Return images of one size, (size, size) or without it that of the first."""
    height, width = (size, size) if size else images[0].shape[:2]
    return torch.cat([resize_images(to_tensor(image)[None], (height, width)) for image in images])


def overlay_paths(out: str | Path, queries: Sequence[Path]) -> list[Path]:
    """Return the path of each query's overlay: named by its stem, and by suffix and folders where stems are equal.

    A link gives its own name, not that of its target.

    Raises:
        InputError: a query is given twice, two paths differ in case alone, or a name would be too long.
    """
    seen: dict[Path, Path] = {}
    for query in queries:
        if (file := query.resolve()) in seen:
            raise InputError(f"query {query} is given twice, first as {seen[file]}; give it once")
        seen[file] = query
    if (names := distinct_names([query.parent.resolve() / query.name for query in queries])) is not None:
        return [Path(out) / _overlay_name(name, query) for name, query in zip(names, queries, strict=True)]
    first = {str(query).casefold(): query for query in reversed(queries)}
    twins = (f"{first[str(query).casefold()]} and {query}" for query in queries if query not in first.values())
    raise InputError(f"queries {next(twins, 'in several folders')} differ in case alone; rename one of them")


def _overlay_name(name: str, query: Path) -> str:
    excess = len(os.fsencode(f"{name}_overlay.json")) - _NAME_BYTES  # the longest name, of the record
    if excess > 0:
        wrong = f"the name of {query} is too long: those of its results would have more than {_NAME_BYTES} bytes"
        raise InputError(f"{wrong}; shorten it by at least {excess} bytes")
    return f"{name}_overlay.png"


def distinct_names(paths: Sequence[PurePath]) -> list[str] | None:
    """Return a name for each path, as short as possible, or None where paths cannot be told apart.

    Names that differ only in case are the same file on Windows and macOS, so they count as equal.
    """
    deepest = max((len(path.parts) for path in paths), default=1)
    for depth in range(1, deepest + 1):
        for name in ("stem", "name"):
            names = ["-".join([*map(_plain, path.parts[-depth:-1]), getattr(path, name)]) for path in paths]
            if len({name.casefold() for name in names}) == len(names):
                return names
    return None


def _plain(part: str) -> str:
    """Return a part of a path without what a root may hold, such as ``C:\\``, and no name of a file may."""
    return re.sub(r"[/\\:]", "", part)


def find_queries(given: Sequence[Path], *, out: Path | None = None) -> list[Path]:
    """Return the files given and the images in the folders given, sorted by name.

    Raises:
        InputError: a folder holds no image, or is ``out``, where the next run would find overlays among its queries.
    """
    found: list[Path] = []
    for path in given:
        if out is not None and is_folder(path) and path.resolve() == out.resolve():
            raise InputError(f"folder {path} of queries is also the folder for the results; choose another for these")
        images = list_images(path) if is_folder(path) else [path]
        if not images:
            raise InputError(f"folder {path} holds no image; give a folder of png, jpg, … files, or the files")
        found += images
    return found


def remove_results(out: str | Path) -> None:
    """Remove the tables and the gallery of an earlier run, since they do not describe the overlays of the next one.

    Raises:
        OutputError: another program keeps one open, as spreadsheets do on Windows; names it.
    """
    for path in (Path(out) / name for name in (SCORES_NAME, RESULTS_NAME, GALLERY_NAME)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            wrong = f"{path} cannot be replaced ({error.strerror})"
            raise OutputError(f"{wrong}; close the program that uses it, or choose another folder") from error


def write_results(out: str | Path, results: Sequence[SegmentedFile], *, about: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write what was found into ``out``, and return the paths.

    These are ``scores.csv`` (one row per query), ``results.json`` (with regions) and ``gallery.html`` (the overlays,
    highest score first).

    Args:
        out: the folder of the overlays.
        results: those of ``segment_files``.
        about: the head of ``results.json``; the gallery shows its ``prompts`` and ``threshold``.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["query", "score", "verdict", "regions", "defective share"])
    rows.writerows([r.query, r.score, r.verdict, len(r.regions), sum(g.share for g in r.regions)] for r in results)
    images = [_as_json(result) for result in results]
    page = render_page(
        "eval/images/gallery.html",
        title="Segmented images",
        results=sorted(results, key=lambda result: -result.score),
        names=Counter(result.query.name for result in results),
        prompts=about.get("prompts", ()),
        threshold=about.get("threshold"),
    )
    return (
        write_text(Path(out) / SCORES_NAME, table.getvalue()),
        write_json(Path(out) / RESULTS_NAME, {**about, "images": images}),
        write_text(Path(out) / GALLERY_NAME, page),
    )


def _as_json(result: SegmentedFile) -> dict[str, Any]:
    regions = [{k: v for k, v in asdict(region).items() if k != "contours"} for region in result.regions]
    return {**vars(result), "query": str(result.query), "overlay": str(result.overlay), "regions": regions}

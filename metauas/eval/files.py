"""Segmenting image files: one normal picture, any number of queries, one heat map each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from metauas.errors import InputError
from metauas.images import read_image, resize_images, to_tensor, write_png
from metauas.model import MetaUAS
from metauas.plots import overlay


@dataclass(frozen=True)
class SegmentedFile:
    """A segmented query: its file, the overlay written for it, and its score, the maximum of the map."""

    query: Path
    overlay: Path
    score: float


def segment_files(
    model: MetaUAS, *, prompt: str | Path, queries: Sequence[str | Path], out: str | Path, size: int
) -> Iterator[SegmentedFile]:
    """Segment files one by one and write ``<stem>_overlay.png`` for each, in the query's own size, into ``out``.

    Everything is checked before the first file is segmented.

    Args:
        model: the network, in evaluation mode.
        prompt: the normal image.
        queries: the images under test.
        out: folder for the overlays.
        size: side to which images are resized for the network, pixels.

    Raises:
        InputError: naming a file that cannot be read, or two queries of one name, whose overlays would collide.
    """
    paths = [Path(query) for query in queries]
    check_queries(paths)
    encoded = model.encode_prompt(resize_images(to_tensor(read_image(prompt))[None], (size, size)))
    for path in paths:
        image = read_image(path)
        query = resize_images(to_tensor(image)[None], (size, size))
        anomaly_map = model.segment(query, encoded)[0, 0].cpu().numpy()
        target = write_png(Path(out) / f"{path.stem}_overlay.png", overlay(image, _enlarged(anomaly_map, like=image)))
        yield SegmentedFile(query=path, overlay=target, score=float(anomaly_map.max()))


def check_queries(paths: Sequence[Path]) -> None:
    """Check that there are queries, that each can be read, and that no two have the same name.

    Raises:
        InputError: naming the file.
    """
    if not paths:
        raise InputError("no query given; name at least one image to be segmented")
    for stem, count in Counter(path.stem for path in paths).items():
        if count > 1:
            raise InputError(f"{count} queries are named {stem!r}, so their overlays would collide; rename them")
    for path in paths:
        read_image(path)


def _enlarged(anomaly_map: np.ndarray, *, like: np.ndarray) -> np.ndarray:
    height, width = like.shape[:2]
    return np.asarray(cv2.resize(anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR))

"""Defective regions: the connected parts of an anomaly map above a threshold."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float32, Int32

#: Corners (x, y) of a closed polygon, in pixels; each polygon has its own number of corners.
Contour = Int32[np.ndarray, "_ 2"]


@dataclass(frozen=True)
class Region:
    """One connected part of a map above the threshold.

    Attributes:
        x: left edge of its bounding box, pixels.
        y: upper edge of its bounding box, pixels.
        width: of its bounding box, pixels.
        height: of its bounding box, pixels.
        area: pixels above the threshold.
        share: ``area`` as a share of the map, in [0, 1].
        score: maximum of the map in the region.
        mean: mean of the map in the region.
        contours: its outer border and the borders of its holes.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    share: float
    score: float
    mean: float
    contours: tuple[Contour, ...] = field(compare=False, repr=False)


def find_regions(anomaly_map: Float32[np.ndarray, "h w"], threshold: float, *, min_area: int = 0) -> list[Region]:
    """Return the 8-connected regions of pixels strictly above ``threshold``, the highest score first.

    Regions with equal scores are in reading order of their bounding boxes, independent of OpenCV.

    Args:
        anomaly_map: the map, at the resolution of the regions (see ``enlarge_map``).
        threshold: for example a calibrated one (``calibrate``).
        min_area: smaller regions are left out, pixels.
    """
    # a bare Python float would be rounded to the map's float32, but image scores are compared in float64
    above = (anomaly_map > np.float64(threshold)).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    kept = [number for number in range(1, count) if boxes[number, cv2.CC_STAT_AREA] >= min_area]
    regions = [_region(anomaly_map, labels, number, *map(int, boxes[number, :4])) for number in kept]
    # a total order: two 8-connected regions that touch all four sides of one box would be connected
    return sorted(regions, key=lambda region: (-region.score, region.y, region.x, region.height, region.width))


def _region(
    anomaly_map: np.ndarray, labels: np.ndarray, number: int, x: int, y: int, width: int, height: int
) -> Region:
    box = (slice(y, y + height), slice(x, x + width))
    inside = labels[box] == number
    values = anomaly_map[box][inside]
    # RETR_CCOMP: outer borders and borders of holes
    found, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
    return Region(
        x=x,
        y=y,
        width=width,
        height=height,
        area=len(values),
        share=len(values) / anomaly_map.size,
        score=float(values.max()),
        mean=float(values.mean(dtype=np.float64)),
        contours=tuple(contour[:, 0] for contour in found),
    )


def enlarge_map(anomaly_map: Float32[np.ndarray, "h w"], size: tuple[int, int]) -> Float32[np.ndarray, "h2 w2"]:
    """Resize a map to ``size`` (height, width) bilinearly, but keep its peaks.

    Interpolation alone flattens narrow peaks, so that an image with a score above a threshold could have no region.
    The pixel over the centre of each value keeps at least this value, so the maximum, the image score, is the same.
    """
    height, width = size
    resized = cv2.resize(anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR)
    rows, columns = (_centres(old, new) for old, new in zip(anomaly_map.shape, size, strict=True))
    np.maximum.at(resized, (rows[:, None], columns), anomaly_map)
    return np.clip(resized, anomaly_map.min(), anomaly_map.max())  # weights are rounded


def _centres(old: int, new: int) -> np.ndarray:
    """Return, for each of ``old`` pixels, the one of ``new`` pixels over the same length that holds its centre."""
    return (2 * np.arange(old) + 1) * new // (2 * old)

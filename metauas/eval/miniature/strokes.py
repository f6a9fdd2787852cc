"""Shapes of damage: places on a product, blobs, random lines, shards."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from metauas.eval.miniature.surface import ANYWHERE, SPAN, Span, Surface, grid, inside, per_unit

OVERSAMPLING = 3  # lines are a few pixels wide, so they are drawn finer and averaged
Point = tuple[float, float]


def spot(rng: np.random.Generator, surface: Surface, *, margin: float = 0.05, ring: Span = ANYWHERE) -> Point:
    """Draw a point of the product in view, ``margin`` units from its outline, in a ring around the middle."""
    x, y = grid(surface.canvas)
    radius = np.hypot(x, y)
    in_view = np.maximum(np.abs(x), np.abs(y)) < 0.75
    return pick(rng, (inside(surface.alpha) > margin) & in_view & (ring[0] <= radius) & (radius <= ring[1]))


def pick(rng: np.random.Generator, allowed: Bool[np.ndarray, "c c"]) -> Point:
    """Draw one of the allowed canvas pixels and return its position in units."""
    rows, columns = np.nonzero(allowed)
    chosen = rng.integers(len(rows))
    to_units = 2 * SPAN / allowed.shape[0]
    return float((columns[chosen] + 0.5) * to_units - SPAN), float((rows[chosen] + 0.5) * to_units - SPAN)


def blob(
    rng: np.random.Generator, canvas: int, centre: Point, *, radius: float, rough: float = 0.22, stretch: float = 1.0
) -> Float[np.ndarray, "c c"]:
    """Return the approximate signed distance (positive inside) to a lobed outline stretched along a random axis."""
    x, y = grid(canvas)
    heading = rng.uniform(0, np.pi)
    along = (x - centre[0]) * np.cos(heading) + (y - centre[1]) * np.sin(heading)
    across = -(x - centre[0]) * np.sin(heading) + (y - centre[1]) * np.cos(heading)
    along, across = along / np.sqrt(stretch), across * np.sqrt(stretch)
    outline = radius * (1 + rough * lobes(rng))
    degrees = np.asarray(cv2.phase(along, across, angleInDegrees=True))
    reach = outline[(degrees * (outline.size / 360)).astype(np.int32) % outline.size]
    return np.asarray(reach - np.hypot(along, across), dtype=np.float32)


def lobes(rng: np.random.Generator, *, waves: tuple[int, int] = (2, 9), samples: int = 2048) -> Float[np.ndarray, " n"]:
    """Return a random periodic function of the angle; finer waves are smaller."""
    turn = np.arange(samples) * (2 * np.pi / samples)
    orders = np.arange(*waves)
    sizes, phases = rng.normal(size=orders.size) / orders, rng.uniform(0, 2 * np.pi, size=orders.size)
    return np.asarray(sizes @ np.cos(orders[:, None] * turn + phases[:, None]))


def drops(
    rng: np.random.Generator, canvas: int, centre: Point, *, spread: float, count: int
) -> Float[np.ndarray, "c c"]:
    """Return the signed distance (positive inside) to small round drops splashed around ``centre``."""
    x, y = grid(canvas)
    places = np.asarray(centre) + rng.normal(0, spread, size=(count, 2))
    sizes = rng.uniform(0.012, 0.04, size=count)
    return np.asarray(np.max([r - np.hypot(x - u, y - v) for (u, v), r in zip(places, sizes, strict=True)], axis=0))


def wander(
    rng: np.random.Generator,
    start: Point,
    *,
    heading: float,
    length: float,
    bend: float,
    jag: float = 0.0,
    steps: int = 30,
) -> Float[np.ndarray, "n 2"]:
    """Return the points of a path with random changes of direction.

    ``bend`` is the deviation (radians) that accumulates over its length, ``jag`` that of each step alone.
    """
    turns = heading + np.cumsum(rng.normal(0, bend / np.sqrt(steps), size=steps)) + rng.normal(0, jag, size=steps)
    strides = length / steps * rng.uniform(0.5, 1.5, size=(steps, 1))
    moves = strides * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.cumsum(np.concatenate([np.array([start]), moves]), axis=0)


def arc(
    rng: np.random.Generator, middle: Point, *, length: float, bend: float, steps: int = 24
) -> Float[np.ndarray, "n 2"]:
    """Return the points of an arc through ``middle`` that turns by up to ``bend`` radians on its way."""
    turns = rng.uniform(0, 2 * np.pi) + np.linspace(-0.5, 0.5, steps) * rng.uniform(-bend, bend)
    moves = length / steps * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    points = np.cumsum(moves, axis=0)
    return np.asarray(points - points[steps // 2] + np.asarray(middle))


def line(canvas: int, points: Float[np.ndarray, "n 2"], widths: Sequence[float]) -> Float[np.ndarray, "c c"]:
    """Return the cover of a line through ``points`` with one width in units per segment."""
    paper = fine_paper(canvas)
    fine = len(paper)
    ends = np.rint((points + SPAN) / (2 * SPAN) * fine).astype(int)
    for begin, end, width in zip(ends[:-1].tolist(), ends[1:].tolist(), widths, strict=True):
        cv2.line(paper, begin, end, 255, max(1, round(width * per_unit(fine))))
    return average(paper, canvas)


def fine_paper(canvas: int) -> UInt8[np.ndarray, "f f"]:
    """Return an empty picture finer than the canvas by ``OVERSAMPLING``."""
    return np.zeros((canvas * OVERSAMPLING, canvas * OVERSAMPLING), np.uint8)


def average(paper: UInt8[np.ndarray, "f f"], canvas: int) -> Float[np.ndarray, "c c"]:
    """Return a finer picture (0 to 255) as a cover in [0, 1] on the canvas."""
    return np.asarray(cv2.resize(paper, (canvas, canvas), interpolation=cv2.INTER_AREA)).astype(np.float32) / 255


def taper(points: Float[np.ndarray, "n 2"], *, width: float, rng: np.random.Generator) -> list[float]:
    """Return one width per segment: thin ends, a full middle, uneven pressure."""
    along = np.linspace(0, np.pi, len(points) - 1)
    pressure = np.interp(along, np.linspace(0, np.pi, 6), rng.uniform(0.6, 1.2, size=6))
    return list(width * (0.25 + 0.75 * np.sin(along)) * pressure)


def facets(
    rng: np.random.Generator, canvas: int, centre: Point, *, radius: float, count: int = 12
) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "c c"]]:
    """Return the tone (mean 1) and the tilted relief of the planes into which brittle material breaks."""
    x, y = grid(canvas)
    seeds = np.asarray(centre) + rng.normal(0, radius * 0.6, size=(count, 2))
    nearest = np.argmin([(x - u) ** 2 + (y - v) ** 2 for u, v in seeds], axis=0)
    tilt_x, tilt_y = rng.normal(0, 0.35, size=(2, count)).astype(np.float32)
    relief = tilt_x[nearest] * (x - seeds[nearest, 0]) + tilt_y[nearest] * (y - seeds[nearest, 1])
    return rng.uniform(0.6, 1.45, size=count).astype(np.float32)[nearest], relief.astype(np.float32)


def shard(rng: np.random.Generator, canvas: int, centre: Point, *, radius: float) -> Float[np.ndarray, "c c"]:
    """Return the signed distance (positive inside) to an angular piece of four to six corners."""
    x, y = grid(canvas)
    count = int(rng.integers(4, 7))
    angles = np.arange(count) * 2 * np.pi / count + rng.uniform(-0.35, 0.35, size=count)
    dx, dy = x - centre[0], y - centre[1]
    sides = [rng.uniform(0.55, 1.1) * radius - dx * np.cos(a) - dy * np.sin(a) for a in angles]
    return np.asarray(np.minimum.reduce(sides), dtype=np.float32)

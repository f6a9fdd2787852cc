"""A small circuit board, assembled from parts so that one can be missing or misplaced."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import cv2
import numpy as np
from jaxtyping import Float

from metauas.eval.miniature.strokes import average, fine_paper, line
from metauas.eval.miniature.surface import (
    SPAN,
    Colour,
    Surface,
    bevel,
    blur,
    drawn_once,
    edge,
    grid,
    mottle,
    per_unit,
    plain,
)
from metauas.seeding import rng_for

HALF_WIDTH, HALF_HEIGHT = 0.90, 0.70
SOLDER: Colour = (0.70, 0.70, 0.68)
GOLD: Colour = (0.80, 0.62, 0.28)
BLACK: Colour = (0.09, 0.09, 0.10)


@dataclass(frozen=True)
class Part:
    """One part: kind, centre, half its width and height (units), rotation (radians)."""

    kind: str
    x: float
    y: float
    half_width: float
    half_height: float
    turn: float = 0.0


PARTS = (
    Part("chip", -0.12, -0.08, 0.20, 0.20),
    Part("driver", 0.42, -0.42, 0.15, 0.09),
    Part("driver", -0.58, 0.22, 0.15, 0.09),
    Part("can", 0.60, 0.14, 0.135, 0.135),
    Part("can", -0.62, -0.36, 0.115, 0.115),
    Part("crystal", 0.30, 0.06, 0.055, 0.13),
    Part("header", 0.12, 0.50, 0.40, 0.065),
    Part("resistor", -0.20, -0.46, 0.075, 0.038),
    Part("resistor", 0.02, -0.46, 0.075, 0.038),
    Part("resistor", -0.55, -0.04, 0.075, 0.038),
    Part("resistor", 0.60, 0.42, 0.075, 0.038),
    Part("capacitor", -0.40, -0.56, 0.065, 0.042),
    Part("capacitor", 0.26, -0.20, 0.065, 0.042),
    Part("capacitor", -0.30, 0.27, 0.065, 0.042),
    Part("capacitor", 0.06, 0.29, 0.065, 0.042),
    Part("diode", 0.72, -0.20, 0.055, 0.045),
    Part("diode", -0.62, 0.50, 0.055, 0.045),
)


@drawn_once
def board(canvas: int) -> Surface:
    """A green circuit board with chips, cans, resistors and a header."""
    return reduce(place, PARTS, bare(canvas))


def missing_part(rng: np.random.Generator, surface: Surface) -> Surface:
    """Leave out one part; its pads show."""
    return unsolder(surface, PARTS[rng.integers(len(PARTS))])


def shifted_part(rng: np.random.Generator, surface: Surface) -> Surface:
    """Solder one of the small parts askew."""
    small = [part for part in PARTS if part.kind not in ("chip", "header", "can")]
    part, way = small[rng.integers(len(small))], rng.uniform(0, 2 * np.pi)
    moved = replace(
        part,
        x=part.x + 0.05 * float(np.cos(way)),
        y=part.y + 0.05 * float(np.sin(way)),
        turn=float(rng.choice((-1, 1)) * rng.uniform(0.4, 0.9)),
    )
    return place(unsolder(surface, part), moved)


def unsolder(surface: Surface, part: Part) -> Surface:
    """Show the bare board where ``part`` and its shadow were; no other part is near enough to be cut."""
    x, y = grid(surface.canvas)
    legs = 0.06 if part.kind in ("chip", "driver") else 0.035
    box = _box(x - part.x, y - part.y, part.half_width + legs, part.half_height + legs)
    return surface.replaced(edge(box + 0.03), bare(surface.canvas))


@lru_cache(maxsize=4)
def bare(canvas: int) -> Surface:
    """Draw the board without parts: solder mask, traces, pads, mounting holes and lettering."""
    rng = rng_for("board")
    x, y = grid(canvas)
    alpha = edge(_box(x, y, HALF_WIDTH, HALF_HEIGHT, rounding=0.06))
    surface = plain(alpha, colour=(0.05, 0.27, 0.15), gloss=0.32)
    surface = surface.shade(1 + 0.05 * mottle(rng, canvas=canvas, units=0.02))
    surface = _traces(surface, rng).lift(bevel(alpha, width=0.015, depth=0.01))
    corners = [(u * (HALF_WIDTH - 0.09), v * (HALF_HEIGHT - 0.09)) for u in (-1, 1) for v in (-1, 1)]
    for u, v in corners:
        far = np.hypot(x - u, y - v)
        surface = surface.paint(edge(0.065 - far), GOLD).cut(edge(0.04 - far))
    for part in PARTS:
        surface = _pads(surface, part)
    return _letter(surface)


def _box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float, rounding: float = 0.0) -> np.ndarray:
    """Return the signed distance to a box around the origin, positive inside."""
    dx, dy = np.abs(x) - half_width + rounding, np.abs(y) - half_height + rounding
    outside = np.hypot(np.clip(dx, 0, None), np.clip(dy, 0, None))
    return np.asarray(rounding - outside - np.minimum(np.maximum(dx, dy), 0))


def _traces(surface: Surface, rng: np.random.Generator) -> Surface:
    x, y = grid(surface.canvas)
    cover, holes = np.zeros_like(x), np.zeros_like(x)
    for _ in range(34):
        (u, v), (run, drop) = rng.uniform((-0.8, -0.6), (0.8, 0.6)), rng.uniform(-0.45, 0.45, size=2)
        slant = np.sign(run) * min(abs(run), abs(drop) / 2)
        bends = np.array([(0, 0), (run - slant, 0), (run, np.sign(drop) * abs(slant)), (run, drop)])
        bends = np.clip(bends + np.array((u, v)), (-0.84, -0.64), (0.84, 0.64))
        cover = np.maximum(cover, line(surface.canvas, bends, [0.016] * 3))
        holes = np.maximum(holes, edge(0.022 - np.hypot(x - bends[-1, 0], y - bends[-1, 1])))
    surface = surface.paint(cover, (0.12, 0.42, 0.24)).lift(0.002 * cover)
    return surface.paint(holes, (0.55, 0.52, 0.36))


def _letter(surface: Surface) -> Surface:
    """Print white lettering: an outline around every part and a name on the free corner."""
    x, y = grid(surface.canvas)
    ink = np.zeros_like(x)
    for part in PARTS:
        frame = np.abs(_box(x - part.x, y - part.y, part.half_width + 0.045, part.half_height + 0.04))
        ink = np.maximum(ink, edge(0.005 - frame) * (part.kind not in ("chip", "header")))
    paper = np.zeros((surface.canvas * 2, surface.canvas * 2), np.uint8)
    scale = per_unit(surface.canvas) * 2
    for text, u, v, size in (("MT-09", 0.10, -0.575, 0.11), ("REV C", -0.50, 0.635, 0.075)):
        place_at = (round((u + SPAN) * scale), round((v + SPAN) * scale))
        cv2.putText(paper, text, place_at, cv2.FONT_HERSHEY_SIMPLEX, size * scale / 22, 255, 2, cv2.LINE_AA)
    return surface.paint(0.85 * np.maximum(ink, average(paper, surface.canvas)), (0.86, 0.88, 0.84))


def _slab(
    surface: Surface, part: Part, *, colour: Colour, height: float, gloss: float, rounding: float = 0.01
) -> Surface:
    """Put a flat box with soft edges and a shadow around it on the board."""
    canvas = surface.canvas
    x, y = grid(canvas)
    u, v = x - part.x, y - part.y
    cos, sin = np.cos(part.turn), np.sin(part.turn)
    distance = _box(u * cos + v * sin, v * cos - u * sin, part.half_width, part.half_height, rounding)
    near = edge(distance + 0.01, soft=0.06)
    cover = edge(distance)
    surface = surface.shade(1 - 0.5 * near * min(1.0, height / 0.05))
    relief = np.clip(distance / 0.02, 0, 1).astype(np.float32)  # no vertical walls: they would glare
    return surface.paint(cover, colour).polish(cover, gloss).level(cover, 0.012).lift(0.5 * height * relief)


def _round(surface: Surface, part: Part, *, share: float, colour: Colour, height: float, gloss: float) -> Surface:
    disc = replace(part, half_width=part.half_width * share, half_height=part.half_width * share)
    return _slab(surface, disc, colour=colour, height=height, gloss=gloss, rounding=disc.half_width)


def _inner(part: Part, dx: float, dy: float, half_width: float, half_height: float) -> Part:
    """Return a piece of ``part`` whose middle lies at (dx, dy) in the part's own axes."""
    cos, sin = float(np.cos(part.turn)), float(np.sin(part.turn))
    return replace(
        part,
        x=part.x + dx * cos - dy * sin,
        y=part.y + dx * sin + dy * cos,
        half_width=half_width,
        half_height=half_height,
    )


def _legs(part: Part) -> list[Part]:
    """Return the metal feet of a part, which are also the places of its pads."""
    w, h = part.half_width, part.half_height
    if part.kind == "header":
        return [_inner(part, u, 0.0, 0.022, 0.022) for u in np.linspace(-w + 0.06, w - 0.06, 7)]
    if part.kind == "can":
        return [_inner(part, u, 0.0, 0.03, 0.03) for u in (-0.06, 0.06)]
    if part.kind == "crystal":
        return [_inner(part, 0.0, v, 0.03, 0.03) for v in (-0.07, 0.07)]
    if part.kind in ("chip", "driver"):
        rows = [_inner(part, u, s * h, 0.014, 0.042) for u in np.linspace(-w + 0.03, w - 0.03, 6) for s in (-1, 1)]
        sides = [_inner(part, s * w, v, 0.042, 0.014) for v in np.linspace(-h + 0.03, h - 0.03, 6) for s in (-1, 1)]
        return rows + (sides if part.kind == "chip" else [])
    return [_inner(part, s * w, 0.0, 0.03, h) for s in (-1, 1)]


def _pads(surface: Surface, part: Part) -> Surface:
    wider = [replace(p, half_width=p.half_width + 0.006, half_height=p.half_height + 0.006) for p in _legs(part)]
    cover = _boxes(wider, canvas=surface.canvas)
    return surface.paint(cover, (0.74, 0.66, 0.44)).polish(cover, 0.45)


def _feet(surface: Surface, part: Part) -> Surface:
    cover = _boxes(_legs(part), canvas=surface.canvas)
    dome = blur(cover, units=0.008)
    return surface.paint(cover, SOLDER).polish(cover, 0.6).lift(0.012 * dome)


def _boxes(boxes: Sequence[Part], *, canvas: int) -> Float[np.ndarray, "c c"]:
    """Return the cover of many small turned boxes at once."""
    paper = fine_paper(canvas)
    for box in boxes:
        cos, sin = np.cos(box.turn), np.sin(box.turn)
        arms = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) * (box.half_width, box.half_height)
        corners = arms @ np.array([[cos, sin], [-sin, cos]]) + np.array((box.x, box.y))
        cv2.fillConvexPoly(paper, np.rint((corners + SPAN) / (2 * SPAN) * len(paper)).astype(np.int32), 255)
    return average(paper, canvas)


def place(surface: Surface, part: Part) -> Surface:
    """Solder one part onto the board."""
    if part.kind in ("chip", "driver"):
        body = replace(part, half_width=part.half_width - 0.012, half_height=part.half_height - 0.012)
        laid = _slab(_feet(surface, part), body, colour=BLACK, height=0.05, gloss=0.22)
        dot = _inner(body, 0.045 - body.half_width, 0.045 - body.half_height, 0.016, 0.016)
        return _round(laid, dot, share=1.0, colour=(0.20, 0.20, 0.21), height=0.0, gloss=0.1)
    if part.kind == "can":
        laid = _round(surface, part, share=1.0, colour=(0.10, 0.11, 0.16), height=0.08, gloss=0.4)
        return _round(laid, part, share=0.86, colour=(0.66, 0.67, 0.69), height=0.03, gloss=0.5)
    if part.kind == "crystal":
        return _slab(surface, part, colour=(0.62, 0.62, 0.61), height=0.06, gloss=0.7, rounding=part.half_width)
    if part.kind == "header":
        return _feet(_slab(surface, part, colour=(0.82, 0.80, 0.74), height=0.06, gloss=0.2), part)
    colour = {"resistor": BLACK, "capacitor": (0.62, 0.46, 0.28), "diode": (0.62, 0.10, 0.08)}[part.kind]
    middle = replace(part, half_width=part.half_width * 0.72)
    return _slab(_feet(surface, part), middle, colour=colour, height=0.03, gloss=0.3)

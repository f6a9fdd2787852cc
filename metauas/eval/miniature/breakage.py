"""Torn, bent and incomplete products. Each function returns the damaged surface."""

import cv2
import numpy as np
from jaxtyping import Float

from metauas.eval.miniature.marks import lay_on
from metauas.eval.miniature.strokes import Point, blob, facets, line, lobes, pick, shard, spot, taper, wander
from metauas.eval.miniature.surface import SPAN, Colour, Span, Surface, edge, grid, inside, mottle, per_unit, rgb


def hole(rng: np.random.Generator, surface: Surface, *, beneath: Colour) -> Surface:
    """Tear a hole into cloth: the table shows, torn threads reach over its rim."""
    canvas, centre, size = surface.canvas, spot(rng, surface), rng.uniform(0.1, 0.17)
    distance = blob(rng, canvas, centre, radius=size, rough=0.3, stretch=rng.uniform(1.0, 1.6))
    cover = edge(distance, soft=0.02)
    depth = np.clip(distance / size, 0, 1)
    dark = rgb(beneath) * (0.5 + 0.7 * depth)[..., None]
    torn = surface.paint(cover, dark).polish(cover, 0.0).level(cover, -0.01)
    for _ in range(rng.integers(7, 13)):
        away = rng.uniform(0, 2 * np.pi)
        root = (centre[0] + 0.95 * size * np.cos(away), centre[1] + 0.95 * size * np.sin(away))
        heading, length = away + np.pi + rng.normal(0, 0.5), rng.uniform(0.5, 0.9) * size
        loose = wander(rng, root, heading=heading, length=length, bend=1.2, steps=10)
        yarn: Colour = ((0.74, 0.70, 0.60), (0.24, 0.32, 0.46))[rng.integers(2)]
        thread = line(canvas, loose, np.linspace(0.02, 0.008, 10).tolist())
        torn = lay_on(torn, thread, colour=yarn, height=0.008, round_over=0.006)
    return torn


def pulled_thread(rng: np.random.Generator, surface: Surface) -> Surface:
    """Pull a thread: a loose loop along the weave that draws its neighbours together."""
    canvas, (u, v) = surface.canvas, spot(rng, surface)
    upright, half = bool(rng.integers(2)), rng.uniform(0.3, 0.5)
    x, y = grid(canvas)
    along, across = (y - v, x - u) if upright else (x - u, y - v)
    pull = np.exp(-((along / (0.8 * half)) ** 2) - (across / 0.11) ** 2) * np.sin(across / 0.06) * 0.03
    moved = warped(surface, dx=pull if upright else 0 * pull, dy=0 * pull if upright else pull)
    length = np.linspace(-half, half, 30)
    loop = 0.045 * np.sin(np.cumsum(rng.normal(0, 0.5, size=30)) + length * 6)
    path = np.array((u, v)) + np.stack([loop, length] if upright else [length, loop], axis=1)
    yarn: Colour = (0.84, 0.80, 0.71) if upright else (0.30, 0.40, 0.58)
    cover = line(canvas, path, taper(path, width=0.05, rng=rng))
    return lay_on(moved, cover, colour=yarn, height=0.03, round_over=0.014)


def missing_piece(rng: np.random.Generator, surface: Surface) -> Surface:
    """Remove one of the product's separate pieces."""
    count, labels = cv2.connectedComponents((surface.alpha > 0.5).astype(np.uint8))
    gone = (np.asarray(labels) == rng.integers(1, count)).astype(np.uint8)
    return surface.cut(np.asarray(cv2.dilate(gone, np.ones((5, 5), np.uint8))).astype(np.float32))


def broken_edge(rng: np.random.Generator, surface: Surface, *, fracture: Colour) -> Surface:
    """Break a piece off the rim; the fracture shows raw material."""
    canvas, centre, size = surface.canvas, outline_point(rng, surface), rng.uniform(0.1, 0.17)
    distance = shard(rng, canvas, centre, radius=size)
    raw = edge(distance + 0.045, soft=0.02)
    tone, relief = facets(rng, canvas, centre, radius=size)
    rough = rgb(fracture) * (0.5 + 0.5 * tone)[..., None]
    broken = surface.paint(raw, np.clip(rough, 0, 1)).polish(raw, 0.2).lift(raw * (0.25 * relief - 0.01))
    return broken.cut(edge(distance))


def broken_glass(rng: np.random.Generator, surface: Surface, *, ring: Span, radius: Span) -> Surface:
    """Break the rim of a bottle: bright facets of fresh glass, with cracks running from them."""
    canvas, centre, size = surface.canvas, spot(rng, surface, ring=ring), rng.uniform(*radius)
    distance = blob(rng, canvas, centre, radius=size, rough=0.35, stretch=rng.uniform(1.0, 1.6))
    cover = edge(distance, soft=0.015) * (surface.alpha > 0.5)
    tone, relief = facets(rng, canvas, centre, radius=size, count=18)
    glass = rgb((0.26, 0.15, 0.08)) * (tone**2)[..., None]
    ridges = np.asarray(cv2.morphologyEx(tone, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    rim = np.exp(-((distance / 0.012) ** 2)) * (surface.alpha > 0.5)
    bright = np.clip(cover * ridges * 0.9 + 0.6 * rim, 0, 0.9)
    broken = surface.paint(0.9 * cover, np.clip(glass, 0, 1)).level(cover, -0.04)
    broken = broken.paint(bright, (0.93, 0.86, 0.76))
    return broken.lift(cover * 0.5 * relief).polish(cover, 0.8)


def broken_tooth(rng: np.random.Generator, surface: Surface, *, teeth: int, root: float) -> Surface:
    """Break off one or two neighbouring teeth of a gear near the root; the stump is rough."""
    canvas, count = surface.canvas, 1 if rng.random() < 0.7 else 2
    radius, away = around_tooth(surface, middle=(int(rng.integers(teeth)) + (count - 1) / 2) * 2 * np.pi / teeth)
    half = count * np.pi / teeth
    jags = lobes(rng, waves=(10, 45), samples=720)
    stump = root + rng.uniform(0.0, 0.05) + 0.05 * jags[(away * 360 / np.pi).astype(np.int32) % 720]
    distance = np.minimum(radius - stump, (half - np.abs(away)) * radius)
    raw = edge(distance + 0.03, soft=0.03) * (np.abs(away) < half)
    grain = mottle(rng, canvas=canvas, units=0.02)
    return surface.shade(1 + raw * (0.2 * grain - 0.3)).polish(raw, 0.15).cut(edge(distance))


def bent_tooth(rng: np.random.Generator, surface: Surface, *, teeth: int, root: float, tip: float) -> Surface:
    """Bend one tooth of a gear into the gap next to it; its neighbours stay in place."""
    x, y = grid(surface.canvas)
    radius, away = around_tooth(surface, middle=2 * np.pi / teeth * int(rng.integers(teeth)))
    side, pitch = rng.choice((-1, 1)), np.pi / teeth
    rise = np.clip((radius - root) / (tip - root), 0, 1.2)
    lean = rng.uniform(0.45, 0.62) * pitch * rise
    # all of the lean across the tooth, none of it at the neighbours, linear in the gaps
    behind = (side * away + 1.35 * pitch) / (0.75 * pitch + lean)
    ahead = (1.35 * pitch - side * away) / (0.75 * pitch - lean)
    swing = -side * lean * np.clip(np.minimum(behind, ahead), 0, 1)
    bent = warped(surface, dx=(-y * swing).astype(np.float32), dy=(x * swing).astype(np.float32))
    return bent.lift(-0.1 * np.abs(swing))


def warped(surface: Surface, *, dx: Float[np.ndarray, "c c"], dy: Float[np.ndarray, "c c"]) -> Surface:
    """Move the material: every canvas pixel shows what lay at (dx, dy) units from it."""
    x, y = grid(surface.canvas)
    to_pixels = np.float32(per_unit(surface.canvas))
    columns, rows = (((axis + SPAN) * to_pixels - 0.5).astype(np.float32) for axis in (x + dx, y + dy))

    def remap(part: Float[np.ndarray, "c c *d"]) -> Float[np.ndarray, "c c *d"]:
        return np.asarray(cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))

    return surface.mapped(remap)


def outline_point(rng: np.random.Generator, surface: Surface) -> Point:
    """Draw a point on the outer outline of the product."""
    x, y = grid(surface.canvas)
    depth = inside(surface.alpha)
    near_rim = (depth > 0) & (depth < 2 / per_unit(surface.canvas))
    outer = np.hypot(x, y) > 0.75 * np.hypot(x, y)[near_rim].max()
    return pick(rng, near_rim & outer)


def around_tooth(surface: Surface, *, middle: float) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "c c"]]:
    """Return every pixel's distance from the gear's middle and its angle from the direction ``middle``."""
    x, y = grid(surface.canvas)
    angle = np.arctan2(y, x) - np.float32(middle)
    return np.hypot(x, y), np.mod(angle + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)

"""Damage and dirt as a change of the surface, before pose, light and camera; each returns another surface.

A defect is called with a generator and the surface. Lengths are in units: half the side of the picture, so that a
blob of radius 0.1 covers 0.8 % of it.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from metauas.eval.miniature.strokes import (
    Point,
    arc,
    blob,
    drops,
    facets,
    line,
    lobes,
    pick,
    shard,
    spot,
    taper,
    wander,
)
from metauas.eval.miniature.surface import SPAN, Colour, Surface, blur, edge, grid, inside, mottle, per_unit

Defect = Callable[[np.random.Generator, Surface], Surface]
Ring = tuple[float, float]
ANYWHERE: Ring = (0.0, 2.0)


def scratch(
    rng: np.random.Generator, surface: Surface, *, colour: Colour, width: float = 0.022, ring: Ring = ANYWHERE
) -> Surface:
    """Draw one to three curved scratches, the first the deepest, with a burr on either side."""
    middle = spot(rng, surface, ring=ring)
    for depth in (1.0, 0.7, 0.5)[: rng.integers(1, 4)]:
        path = arc(rng, middle, length=rng.uniform(0.45, 0.8) * depth, bend=1.2)
        cover = line(surface.canvas, path, taper(path, width=width * depth, rng=rng)) * depth
        surface = surface.paint(0.85 * cover, colour)
        surface = surface.lift(-0.012 * blur(cover, units=0.006, canvas=surface.canvas))
        middle = (middle[0] + rng.normal(0, 0.06), middle[1] + rng.normal(0, 0.06))
    return surface


def crack(rng: np.random.Generator, surface: Surface, *, colour: Colour, width: float = 0.026) -> Surface:
    """Draw a jagged crack that branches on its way."""
    start, heading = spot(rng, surface), rng.uniform(0, 2 * np.pi)
    trunk = wander(rng, start, heading=heading, length=rng.uniform(0.8, 1.2), bend=0.5, jag=0.6)
    paths = [(trunk, width)]
    for _ in range(rng.integers(1, 4)):
        fork = tuple(trunk[rng.integers(6, 24)].tolist())
        aside = heading + rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)
        branch = wander(rng, fork, heading=aside, length=rng.uniform(0.2, 0.45), bend=0.5, jag=0.6, steps=12)
        paths.append((branch, 0.6 * width))
    cover = np.zeros_like(surface.height)
    for path, full in paths:
        widths = np.linspace(full, 0.25 * full, len(path) - 1) * rng.uniform(0.6, 1.3, size=len(path) - 1)
        cover = np.maximum(cover, line(surface.canvas, path, widths.tolist()))
    sunk = blur(cover, units=0.006, canvas=surface.canvas)
    return surface.paint(0.92 * cover, colour).polish(cover, 0.0).lift(-0.02 * sunk)


def chip(rng: np.random.Generator, surface: Surface, *, colour: Colour, radius: Ring = (0.13, 0.2)) -> Surface:
    """Break a flake out of a brittle material: a pit of raw, faceted fracture."""
    centre, size = spot(rng, surface), rng.uniform(*radius)
    distance = blob(rng, surface.canvas, centre, radius=size, rough=0.3, stretch=rng.uniform(1.0, 1.7))
    cover = edge(distance, canvas=surface.canvas, soft=0.015)
    tone, relief = facets(rng, surface.canvas, centre, radius=size, count=16)
    grain = mottle(rng, pixels=surface.canvas, canvas=surface.canvas, units=0.02)
    raw = np.float32(colour) * (0.65 + 0.35 * tone + 0.12 * grain)[..., None]
    pit = -0.035 * np.clip(distance / 0.04, 0, 1) + cover * (0.35 * relief + 0.003 * grain)
    return surface.paint(cover, np.clip(raw, 0, 1).astype(np.float32)).lift(pit.astype(np.float32))


def stain(
    rng: np.random.Generator, surface: Surface, *, colour: Colour, radius: Ring = (0.16, 0.28), gloss: float = 0.0
) -> Surface:
    """Soak the material with a liquid: colour multiplied, darkest at the rim where it dried, droplets around."""
    centre, size = spot(rng, surface), rng.uniform(*radius)
    distance = blob(rng, surface.canvas, centre, radius=size, stretch=rng.uniform(1.0, 1.6))
    distance = np.maximum(distance, drops(rng, surface.canvas, centre, spread=1.1 * size, count=4))
    cover = edge(distance, canvas=surface.canvas, soft=0.035)
    rim = np.exp(-((distance - 0.03) / 0.025) ** 2) * cover
    strength = (0.8 * cover + 0.2 * rim) * (1 + 0.08 * mottle(rng, pixels=surface.canvas, canvas=surface.canvas, units=0.1))
    soaked = surface.albedo * np.float32(colour)
    return surface.paint(np.clip(strength, 0, 1).astype(np.float32), soaked).polish(cover, gloss + float(surface.gloss.mean()))


def paint_spot(rng: np.random.Generator, surface: Surface, *, colours: tuple[Colour, ...]) -> Surface:
    """Splash paint or ink: one opaque spot with a few drops, which follows the material's light and dark."""
    centre, size = spot(rng, surface), rng.uniform(0.1, 0.18)
    distance = blob(rng, surface.canvas, centre, radius=size, rough=0.3)
    distance = np.maximum(distance, drops(rng, surface.canvas, centre, spread=1.3 * size, count=6))
    cover = edge(distance, canvas=surface.canvas, soft=0.02)
    light = surface.albedo.mean(axis=-1, keepdims=True) / surface.albedo.mean()
    tinted = np.float32(colours[rng.integers(len(colours))]) * np.clip(0.3 + 0.7 * light, 0, 1.4)
    return surface.paint(0.9 * cover, np.clip(tinted, 0, 1).astype(np.float32)).polish(cover, 0.25)


def crust(rng: np.random.Generator, surface: Surface, *, colours: tuple[Colour, Colour], ring: Ring = ANYWHERE) -> Surface:
    """Let rust or verdigris grow: grainy, dull, dense in the middle and dotted at the rim."""
    canvas = surface.canvas
    centre, size = spot(rng, surface, ring=ring), rng.uniform(0.14, 0.24)
    distance = blob(rng, canvas, centre, radius=size, rough=0.35, stretch=rng.uniform(1.0, 1.8))
    grain = mottle(rng, pixels=canvas, canvas=canvas, units=0.035) + 0.6 * mottle(
        rng, pixels=canvas, canvas=canvas, units=0.012
    )
    cover = np.clip(1.3 * distance / size + 0.35 + 0.35 * grain, 0, 1) * edge(distance + 0.03, canvas=canvas, soft=0.06)
    share = np.clip(0.5 + 0.3 * grain, 0, 1)[..., None]
    tone = share * np.float32(colours[0]) + (1 - share) * np.float32(colours[1])
    crusted = surface.paint(0.9 * cover.astype(np.float32), tone.astype(np.float32)).polish(cover.astype(np.float32), 0.03)
    return crusted.lift((0.004 * cover * grain).astype(np.float32))


def dent(rng: np.random.Generator, surface: Surface, *, depth: float = 0.06, ring: Ring = ANYWHERE) -> Surface:
    """Hit the surface: an oval hollow with a raised lip, seen only by its shading."""
    centre, size = spot(rng, surface, ring=ring, margin=0.08), rng.uniform(0.09, 0.13)
    distance = blob(rng, surface.canvas, centre, radius=size, rough=0.0, stretch=rng.uniform(1.0, 1.7))
    far = 1 - distance / size  # 0 in the middle, 1 at the rim
    hollow = -np.exp(-((far / 0.62) ** 4)) + 0.25 * np.exp(-(((far - 1.05) / 0.25) ** 2))
    return surface.lift((depth * rng.uniform(0.8, 1.2) * hollow).astype(np.float32)).shade(
        (1 - 0.12 * np.exp(-((far / 0.62) ** 4))).astype(np.float32)
    )


def fibre(
    rng: np.random.Generator,
    surface: Surface,
    *,
    colours: tuple[Colour, ...],
    width: float = 0.022,
    length: Ring = (0.6, 1.0),
    ring: Ring = ANYWHERE,
) -> Surface:
    """Drop a curled thread on the product: round, with a soft shadow under it."""
    path = wander(rng, spot(rng, surface, ring=ring), heading=rng.uniform(0, 2 * np.pi), length=rng.uniform(*length), bend=3.0)
    path = np.asarray(cv2.GaussianBlur(path, (1, 9), 2, borderType=cv2.BORDER_REPLICATE))
    cover = line(surface.canvas, path, [width] * (len(path) - 1)) * surface.alpha
    return _lay_on(surface, cover, colour=colours[rng.integers(len(colours))], height=0.6 * width, round_over=width / 3)


def foil(rng: np.random.Generator, surface: Surface, *, colour: Colour, radius: float = 0.11, ring: Ring = ANYWHERE) -> Surface:
    """Drop a creased scrap of metal or foil on the product."""
    centre = spot(rng, surface, ring=ring)
    size = radius * rng.uniform(0.8, 1.25)
    cover = edge(shard(rng, surface.canvas, centre, radius=size), canvas=surface.canvas) * (surface.alpha > 0.5)
    tone, relief = facets(rng, surface.canvas, centre, radius=size, count=8)
    laid = _lay_on(surface, cover, colour=colour, height=0.02, round_over=0.008)
    creased = laid.lift((cover * 0.6 * relief).astype(np.float32)).shade(1 + cover * 0.35 * (tone - 1))
    return creased.polish(cover, 0.9)


def _lay_on(
    surface: Surface, cover: Float[np.ndarray, "c c"], *, colour: Colour, height: float, round_over: float
) -> Surface:
    """Put something of one colour on the surface, with the dim light around its foot."""
    canvas = surface.canvas
    shadow = np.roll(blur(cover, units=0.02, canvas=canvas), round(0.012 * per_unit(canvas)), axis=(0, 1))
    local = blur(surface.height, units=0.03, canvas=canvas)  # it rests on the material's peaks
    resting = surface.shade(1 - 0.5 * shadow)
    flat = resting.lift(cover * (local - resting.height))
    body = height * blur(cover, units=round_over, canvas=canvas)
    return flat.paint(cover, colour).lift(body).polish(cover, 0.15)


def dry_patch(rng: np.random.Generator, surface: Surface) -> Surface:
    """Let a patch of lawn die: straw instead of green, bare earth in the deepest gaps."""
    canvas = surface.canvas
    distance = blob(rng, canvas, spot(rng, surface), radius=rng.uniform(0.2, 0.3), rough=0.3, stretch=rng.uniform(1, 1.6))
    light = surface.albedo.mean(axis=-1, keepdims=True)
    straw = np.clip(light * np.float32((1.30, 1.12, 0.78)) + np.float32((0.08, 0.05, 0.02)), 0, 1)
    # single blades at the rim are either dead or alive
    cover = edge(distance + 0.25 * (light[..., 0] - light.mean()), canvas=canvas, soft=0.06)
    return surface.paint(0.85 * cover, straw.astype(np.float32))


def hole(rng: np.random.Generator, surface: Surface, *, beneath: Colour) -> Surface:
    """Tear a hole into cloth: the table shows, torn threads reach over its rim."""
    canvas, centre, size = surface.canvas, spot(rng, surface), rng.uniform(0.1, 0.17)
    distance = blob(rng, canvas, centre, radius=size, rough=0.3, stretch=rng.uniform(1.0, 1.6))
    cover = edge(distance, canvas=canvas, soft=0.02)
    depth = np.clip(distance / size, 0, 1)
    dark = np.float32(beneath) * (0.5 + 0.7 * depth)[..., None]
    torn = surface.paint(cover, dark.astype(np.float32)).polish(cover, 0.0).level(cover, -0.01)
    for _ in range(rng.integers(7, 13)):
        away = rng.uniform(0, 2 * np.pi)
        root = (centre[0] + 0.95 * size * np.cos(away), centre[1] + 0.95 * size * np.sin(away))
        loose = wander(rng, root, heading=away + np.pi + rng.normal(0, 0.5), length=rng.uniform(0.5, 0.9) * size, bend=1.2, steps=10)
        yarn: Colour = ((0.74, 0.70, 0.60), (0.24, 0.32, 0.46))[rng.integers(2)]
        torn = _lay_on(torn, line(canvas, loose, np.linspace(0.02, 0.008, 10).tolist()), colour=yarn, height=0.008, round_over=0.006)
    return torn


def pulled_thread(rng: np.random.Generator, surface: Surface) -> Surface:
    """Catch a thread: it stands out as a loose loop along the weave and draws its neighbours together."""
    canvas, (u, v) = surface.canvas, spot(rng, surface)
    upright, half = bool(rng.integers(2)), rng.uniform(0.3, 0.5)
    x, y = grid(canvas)
    along, across = (y - v, x - u) if upright else (x - u, y - v)
    pull = np.exp(-((along / (0.8 * half)) ** 2) - (across / 0.11) ** 2) * np.sin(across / 0.06) * 0.03
    moved = warped(surface, dx=pull if upright else 0 * pull, dy=0 * pull if upright else pull)
    length = np.linspace(-half, half, 30)
    loop = 0.045 * np.sin(np.cumsum(rng.normal(0, 0.5, size=30)) + length * 6)
    path = np.stack([loop, length] if upright else [length, loop], axis=1) + (u, v)
    yarn: Colour = (0.84, 0.80, 0.71) if upright else (0.30, 0.40, 0.58)
    cover = line(canvas, path, taper(path, width=0.05, rng=rng))
    return _lay_on(moved, cover, colour=yarn, height=0.03, round_over=0.014)


def warped(surface: Surface, *, dx: Float[np.ndarray, "c c"], dy: Float[np.ndarray, "c c"]) -> Surface:
    """Move the material: every canvas pixel shows what lay at (dx, dy) units from it."""
    x, y = grid(surface.canvas)
    to_pixels = np.float32(per_unit(surface.canvas))
    columns, rows = ((axis + SPAN) * to_pixels - 0.5 for axis in (x + dx, y + dy))

    def remap(maps: Float[np.ndarray, "c c *d"]) -> Float[np.ndarray, "c c *d"]:
        at = columns.astype(np.float32), rows.astype(np.float32)
        return np.asarray(cv2.remap(maps, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))

    return Surface(remap(surface.albedo), remap(surface.height), remap(surface.gloss), remap(surface.alpha))


def missing_piece(rng: np.random.Generator, surface: Surface) -> Surface:
    """Take away one of the separate pieces of which the product consists."""
    count, labels = cv2.connectedComponents((surface.alpha > 0.5).astype(np.uint8))
    gone = (np.asarray(labels) == rng.integers(1, count)).astype(np.uint8)
    return surface.cut(np.asarray(cv2.dilate(gone, np.ones((5, 5), np.uint8))).astype(np.float32))


def outline_point(rng: np.random.Generator, surface: Surface) -> Point:
    """Draw a point on the outer outline of the product."""
    x, y = grid(surface.canvas)
    depth = inside(surface.alpha)
    near_rim = (depth > 0) & (depth < 2 / per_unit(surface.canvas))
    outer = np.hypot(x, y) > 0.75 * np.hypot(x, y)[near_rim].max()
    return pick(rng, near_rim & outer)


def broken_edge(rng: np.random.Generator, surface: Surface, *, fracture: Colour, radius: Ring = (0.1, 0.17)) -> Surface:
    """Break a piece off the rim; the fracture shows raw material."""
    canvas, centre, size = surface.canvas, outline_point(rng, surface), rng.uniform(*radius)
    distance = shard(rng, canvas, centre, radius=size)
    raw = edge(distance + 0.045, canvas=canvas, soft=0.02)
    tone, relief = facets(rng, canvas, centre, radius=size)
    rough = np.float32(fracture) * (0.5 + 0.5 * tone)[..., None]
    broken = surface.paint(raw, np.clip(rough, 0, 1)).polish(raw, 0.2).lift((raw * (0.25 * relief - 0.01)).astype(np.float32))
    return broken.cut(edge(distance, canvas=canvas))


def broken_glass(rng: np.random.Generator, surface: Surface, *, ring: Ring, radius: Ring) -> Surface:
    """Break the rim of a bottle: bright facets of fresh glass, with cracks running from them."""
    canvas, centre, size = surface.canvas, spot(rng, surface, ring=ring), rng.uniform(*radius)
    distance = blob(rng, canvas, centre, radius=size, rough=0.35, stretch=rng.uniform(1.0, 1.6))
    cover = edge(distance, canvas=canvas, soft=0.015) * (surface.alpha > 0.5)
    tone, relief = facets(rng, canvas, centre, radius=size, count=18)
    glass = np.float32((0.44, 0.31, 0.20)) * (tone**2)[..., None]
    broken = surface.paint(0.9 * cover, np.clip(glass, 0, 1)).level(cover, -0.04)
    return broken.lift((cover * 0.9 * relief).astype(np.float32)).polish(cover, 0.9)


def glue(rng: np.random.Generator, surface: Surface) -> Surface:
    """Let a drop of clear yellowish glue fall: a shining dome through which the product shows."""
    canvas, size = surface.canvas, rng.uniform(0.1, 0.17)
    distance = blob(rng, canvas, spot(rng, surface), radius=size, rough=0.15, stretch=rng.uniform(1.0, 1.6))
    cover = edge(distance, canvas=canvas, soft=0.015) * (surface.alpha > 0.5)
    dome = blur(np.sqrt(np.clip(distance / size, 0, 1)), units=0.02, canvas=canvas) * 0.4 * size
    veiled = surface.paint(0.45 * cover, (0.80, 0.74, 0.50))
    smooth = veiled.lift(-0.7 * cover * (veiled.height - blur(veiled.height, units=0.05, canvas=canvas)))
    return smooth.lift((cover * dome).astype(np.float32)).polish(cover, 0.9)


def broken_tooth(rng: np.random.Generator, surface: Surface, *, teeth: int, root: float) -> Surface:
    """Break one or two neighbouring teeth off a gear near the root; the stump is rough."""
    canvas, count = surface.canvas, 1 if rng.random() < 0.7 else 2
    radius, away = around_tooth(surface, middle=(int(rng.integers(teeth)) + (count - 1) / 2) * 2 * np.pi / teeth)
    half = count * np.pi / teeth
    jags = lobes(rng, waves=(30, 90), samples=720)
    stump = root + rng.uniform(0.0, 0.05) + 0.15 * jags[(away * 360 / np.pi).astype(np.int32) % 720]
    distance = np.minimum(radius - stump, (half - np.abs(away)) * radius)
    raw = edge(distance + 0.03, canvas=canvas, soft=0.03) * (np.abs(away) < half)
    grain = mottle(rng, pixels=canvas, canvas=canvas, units=0.02)
    return surface.shade(1 + raw * (0.2 * grain - 0.3)).polish(raw, 0.15).cut(edge(distance, canvas=canvas))


def bent_tooth(rng: np.random.Generator, surface: Surface, *, teeth: int, root: float, tip: float) -> Surface:
    """Bend one tooth of a gear to the side, into the gap, without moving its neighbours."""
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
    return bent.lift((-0.1 * np.abs(swing)).astype(np.float32))


def around_tooth(surface: Surface, *, middle: float) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "c c"]]:
    """Return every pixel's distance from the middle of the gear and its angle from the direction ``middle``."""
    x, y = grid(surface.canvas)
    angle = np.arctan2(y, x) - np.float32(middle)
    return np.hypot(x, y), np.mod(angle + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)

"""Defects on a surface: scratches, cracks, dents, stains, paint, rust; and foreign objects that lie on it.

A defect maps a generator and a surface to the damaged surface, before pose, light and camera. Lengths are in units,
half the side of the picture: a blob of radius 0.1 covers 0.8 % of it.
"""

import cv2
import numpy as np
from jaxtyping import Float

from metauas.eval.miniature.strokes import arc, blob, drops, facets, line, shard, spot, taper, wander
from metauas.eval.miniature.surface import ANYWHERE, Colour, Span, Surface, blur, edge, mottle, per_unit, rgb


def scratch(
    rng: np.random.Generator, surface: Surface, *, colour: Colour, width: float = 0.022, ring: Span = ANYWHERE
) -> Surface:
    """Draw one to three curved scratches, the first the deepest, with a burr on either side."""
    middle = spot(rng, surface, ring=ring)
    for depth in (1.0, 0.7, 0.5)[: rng.integers(1, 4)]:
        path = arc(rng, middle, length=rng.uniform(0.45, 0.8) * depth, bend=1.2)
        cover = line(surface.canvas, path, taper(path, width=width * depth, rng=rng)) * depth
        surface = surface.paint(0.85 * cover, colour)
        surface = surface.lift(-0.012 * blur(cover, units=0.006))
        middle = (middle[0] + rng.normal(0, 0.06), middle[1] + rng.normal(0, 0.06))
    return surface


def crack(rng: np.random.Generator, surface: Surface, *, colour: Colour, width: float = 0.026) -> Surface:
    """Draw a jagged crack with branches."""
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
    sunk = blur(cover, units=0.006)
    return surface.paint(0.92 * cover, colour).polish(cover, 0.0).lift(-0.02 * sunk)


def chip(rng: np.random.Generator, surface: Surface, *, colour: Colour, radius: Span = (0.13, 0.2)) -> Surface:
    """Break a flake out of a brittle material: a pit of raw, faceted fracture."""
    centre, size = spot(rng, surface), rng.uniform(*radius)
    distance = blob(rng, surface.canvas, centre, radius=size, rough=0.3, stretch=rng.uniform(1.0, 1.7))
    cover = edge(distance, soft=0.015)
    tone, relief = facets(rng, surface.canvas, centre, radius=size, count=16)
    grain = mottle(rng, canvas=surface.canvas, units=0.02)
    raw = rgb(colour) * (0.65 + 0.35 * tone + 0.12 * grain)[..., None]
    pit = -0.035 * np.clip(distance / 0.04, 0, 1) + cover * (0.35 * relief + 0.003 * grain)
    return surface.paint(cover, np.clip(raw, 0, 1)).lift(pit)


def dent(rng: np.random.Generator, surface: Surface, *, depth: float = 0.06, ring: Span = ANYWHERE) -> Surface:
    """Hit the surface: an oval hollow with a raised lip, seen only by its shading."""
    centre, size = spot(rng, surface, ring=ring, margin=0.08), rng.uniform(0.09, 0.13)
    distance = blob(rng, surface.canvas, centre, radius=size, rough=0.0, stretch=rng.uniform(1.0, 1.7))
    far = 1 - distance / size  # 0 in the middle, 1 at the rim
    bowl = np.exp(-((far / 0.62) ** 4))
    hollow = -bowl + 0.25 * np.exp(-(((far - 1.05) / 0.25) ** 2))
    return surface.lift(depth * rng.uniform(0.8, 1.2) * hollow).shade(1 - 0.12 * bowl)


def stain(
    rng: np.random.Generator, surface: Surface, *, colour: Colour, gloss: float, radius: Span = (0.16, 0.28)
) -> Surface:
    """Soak the material with a liquid: darker, darkest at the dried rim, with droplets around."""
    centre, size = spot(rng, surface), rng.uniform(*radius)
    distance = blob(rng, surface.canvas, centre, radius=size, stretch=rng.uniform(1.0, 1.6))
    distance = np.maximum(distance, drops(rng, surface.canvas, centre, spread=1.1 * size, count=4))
    cover = edge(distance, soft=0.035)
    rim = np.exp(-(((distance - 0.03) / 0.025) ** 2)) * cover
    strength = (0.8 * cover + 0.2 * rim) * (1 + 0.08 * mottle(rng, canvas=surface.canvas, units=0.1))
    soaked = surface.paint(np.clip(strength, 0, 1), surface.albedo * rgb(colour))
    return soaked.polish(cover, gloss + float(surface.gloss.mean()))


def paint_spot(rng: np.random.Generator, surface: Surface, *, colours: tuple[Colour, ...]) -> Surface:
    """Splash paint or ink: one opaque spot with a few drops; the material's brightness shows through."""
    centre, size = spot(rng, surface), rng.uniform(0.1, 0.18)
    distance = blob(rng, surface.canvas, centre, radius=size, rough=0.3)
    distance = np.maximum(distance, drops(rng, surface.canvas, centre, spread=1.3 * size, count=6))
    cover = edge(distance, soft=0.02)
    light = surface.albedo.mean(axis=-1, keepdims=True) / surface.albedo.mean()
    tinted = rgb(colours[rng.integers(len(colours))]) * np.clip(0.3 + 0.7 * light, 0, 1.4)
    return surface.paint(0.9 * cover, np.clip(tinted, 0, 1)).polish(cover, 0.25)


def crust(
    rng: np.random.Generator, surface: Surface, *, colours: tuple[Colour, Colour], ring: Span = ANYWHERE
) -> Surface:
    """Add rust or verdigris: grainy, dull, dense in the middle and dotted at the rim."""
    canvas = surface.canvas
    centre, size = spot(rng, surface, ring=ring), rng.uniform(0.14, 0.24)
    distance = blob(rng, canvas, centre, radius=size, rough=0.35, stretch=rng.uniform(1.0, 1.8))
    grain = mottle(rng, canvas=canvas, units=0.035) + 0.6 * mottle(rng, canvas=canvas, units=0.012)
    cover = np.clip(1.3 * distance / size + 0.35 + 0.35 * grain, 0, 1) * edge(distance + 0.03, soft=0.06)
    share = np.clip(0.5 + 0.3 * grain, 0, 1)[..., None]
    tone = share * rgb(colours[0]) + (1 - share) * rgb(colours[1])
    return surface.paint(0.9 * cover.astype(np.float32), tone).polish(cover, 0.03).lift(0.004 * cover * grain)


def dry_patch(rng: np.random.Generator, surface: Surface) -> Surface:
    """Dry a patch of lawn: straw instead of green, bare earth in the deepest gaps."""
    canvas, centre, size = surface.canvas, spot(rng, surface), rng.uniform(0.2, 0.3)
    distance = blob(rng, canvas, centre, radius=size, rough=0.3, stretch=rng.uniform(1, 1.6))
    light = surface.albedo.mean(axis=-1, keepdims=True)
    straw = np.clip(light * rgb((1.30, 1.12, 0.78)) + rgb((0.08, 0.05, 0.02)), 0, 1)
    # single blades at the rim are either dead or alive
    cover = edge(distance + 0.25 * (light[..., 0] - light.mean()), soft=0.06)
    return surface.paint(0.85 * cover, straw)


# --- foreign objects


def fibre(
    rng: np.random.Generator,
    surface: Surface,
    *,
    colours: tuple[Colour, ...],
    width: float = 0.022,
    length: Span = (0.6, 1.0),
    ring: Span = ANYWHERE,
) -> Surface:
    """Drop a curled thread on the product: round, with a soft shadow under it."""
    start, heading = spot(rng, surface, ring=ring), rng.uniform(0, 2 * np.pi)
    path = wander(rng, start, heading=heading, length=rng.uniform(*length), bend=3.0)
    path = np.asarray(cv2.GaussianBlur(path, (1, 9), 2, borderType=cv2.BORDER_REPLICATE))
    cover = line(surface.canvas, path, [width] * (len(path) - 1)) * surface.alpha
    return lay_on(surface, cover, colour=colours[rng.integers(len(colours))], height=0.6 * width, round_over=width / 3)


def foil(rng: np.random.Generator, surface: Surface, *, colour: Colour, radius: float) -> Surface:
    """Drop a creased scrap of metal or foil on the product."""
    centre = spot(rng, surface)
    size = radius * rng.uniform(0.8, 1.25)
    cover = edge(shard(rng, surface.canvas, centre, radius=size)) * (surface.alpha > 0.5)
    tone, relief = facets(rng, surface.canvas, centre, radius=size, count=8)
    laid = lay_on(surface, cover, colour=colour, height=0.02, round_over=0.008)
    return laid.lift(cover * 0.6 * relief).shade(1 + cover * 0.35 * (tone - 1)).polish(cover, 0.9)


def glue(rng: np.random.Generator, surface: Surface) -> Surface:
    """Drop clear yellowish glue: a glossy dome through which the product shows."""
    canvas, size = surface.canvas, rng.uniform(0.1, 0.17)
    distance = blob(rng, canvas, spot(rng, surface), radius=size, rough=0.15, stretch=rng.uniform(1.0, 1.6))
    cover = edge(distance, soft=0.015) * (surface.alpha > 0.5)
    dome = blur(np.sqrt(np.clip(distance / size, 0, 1)), units=0.02) * 0.4 * size
    veiled = surface.paint(0.45 * cover, (0.80, 0.74, 0.50))
    smooth = veiled.lift(-0.7 * cover * (veiled.height - blur(veiled.height, units=0.05)))
    return smooth.lift(cover * dome).polish(cover, 0.9)


def lay_on(
    surface: Surface, cover: Float[np.ndarray, "c c"], *, colour: Colour, height: float, round_over: float
) -> Surface:
    """Put an object of one colour on the surface, with a soft shadow around it."""
    canvas = surface.canvas
    shadow = np.roll(blur(cover, units=0.02), round(0.012 * per_unit(canvas)), axis=(0, 1))
    local = blur(surface.height, units=0.03)  # it rests on the material's peaks
    resting = surface.shade(1 - 0.5 * shadow)
    flat = resting.lift(cover * (local - resting.height))
    body = height * blur(cover, units=round_over)
    return flat.paint(cover, colour).lift(body).polish(cover, 0.15)

"""Foreign objects: fibres, scraps of foil, drops of glue. Each function returns the surface with the object."""

import cv2
import numpy as np
from jaxtyping import Float

from metauas.eval.miniature.strokes import blob, facets, line, shard, spot, wander
from metauas.eval.miniature.surface import ANYWHERE, Colour, Span, Surface, blur, edge, per_unit


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

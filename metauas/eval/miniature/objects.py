"""Products on a backdrop: photographed coins, and a drawn gear, nut and bottle."""

from dataclasses import replace
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage
from skimage import filters, segmentation

from metauas.eval.miniature.surface import Surface, bevel, blur, drawn_once, edge, grid, mottle, per_unit, plain
from metauas.eval.miniature.textures import photograph
from metauas.seeding import rng_for

TEETH = 13
GEAR_ROOT, GEAR_TIP = 0.58, 0.76
COIN_RADIUS = 0.34


def polar(canvas: int) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "c c"]]:
    """Return distance from the middle in units and direction in radians at every canvas pixel."""
    x, y = grid(canvas)
    return np.hypot(x, y), np.arctan2(y, x)


def turning_marks(rng: np.random.Generator, radius: Float[np.ndarray, "c c"]) -> Float[np.ndarray, "c c"]:
    """Return fine concentric grooves as a lathe leaves them, deviation 1."""
    grooves = np.asarray(cv2.GaussianBlur(rng.standard_normal((1, 260)), (0, 0), 0.8)).ravel()
    marks = np.interp(radius, np.linspace(0, 1.3, 260), grooves / grooves.std())
    return np.asarray(marks, dtype=np.float32)


@drawn_once
def gear(canvas: int) -> Surface:
    """A steel spur gear with a recessed web, five holes and a keyed bore."""
    rng = rng_for("gear")
    x, y = grid(canvas)
    radius, turn = polar(canvas)
    middle, swing = (GEAR_ROOT + GEAR_TIP) / 2, (GEAR_TIP - GEAR_ROOT) / 2
    rim = middle + swing * np.clip(2.0 * np.cos(TEETH * turn) + 0.1, -1, 1)
    key = np.minimum(0.05 - np.abs(x), 0.215 - np.abs(y + 0.03))
    holes = [np.hypot(x - 0.355 * np.cos(a), y - 0.355 * np.sin(a)) - 0.072 for a in np.arange(5) * 2 * np.pi / 5]
    alpha = edge(np.minimum.reduce([rim - radius, radius - 0.15, -key, *holes]))
    web = blur(edge(np.minimum(radius - 0.245, 0.475 - radius)), units=0.01)
    marks = turning_marks(rng, radius)
    height = bevel(alpha, width=0.03, depth=0.022) - 0.03 * web + 0.0007 * marks * (1 - 0.4 * web)
    wear = mottle(rng, canvas=canvas, units=0.3)
    grain = mottle(rng, canvas=canvas, units=0.012)
    surface = plain(alpha, colour=(0.50, 0.51, 0.53), gloss=0.55).lift(height)
    return surface.shade(1 + 0.03 * marks + 0.04 * wear + 0.03 * grain - 0.22 * web)


@drawn_once
def nut(canvas: int) -> Surface:
    """A brass hexagon nut with a chamfer and a threaded hole."""
    rng = rng_for("nut")
    x, y = grid(canvas)
    radius, turn = polar(canvas)
    flats = [x * np.cos(a) + y * np.sin(a) for a in np.arange(6) * np.pi / 3]
    hexagon = edge(0.62 - np.maximum.reduce(flats), soft=0.012)
    chamfer = -0.42 * np.clip(radius - 0.59, 0, None)
    countersink = -0.8 * np.clip(0.36 - radius, 0, 0.07)
    bore = edge(0.29 - radius)
    # the thread seen from above: a spiral staircase into the dark
    thread = np.sin(2 * np.pi * radius / 0.036 + turn) * 0.006
    height = chamfer + countersink + bore * thread + 0.0011 * turning_marks(rng, radius) * (1 - bore)
    depth = np.clip((0.29 - radius) / 0.10, 0, 1)
    wear = mottle(rng, canvas=canvas, units=0.25)
    grain = mottle(rng, canvas=canvas, units=0.012)
    surface = plain(hexagon, colour=(0.68, 0.52, 0.25), gloss=0.6).lift(height)
    surface = surface.lift(bevel(hexagon, width=0.03, depth=0.02))
    surface = surface.shade(1 + 0.03 * wear + 0.025 * grain - 0.25 * bore - 0.55 * depth)
    return surface.polish(edge(0.24 - radius, soft=0.06), 0.15).cut(edge(0.19 - radius))


# radius, RGB and relief of a brown glass bottle from the middle of its mouth to its shoulder
BOTTLE_PROFILE = np.array(
    [
        (0.00, 0.10, 0.06, 0.04, -0.30),
        (0.22, 0.07, 0.04, 0.03, -0.30),
        (0.31, 0.20, 0.10, 0.04, -0.28),
        (0.36, 0.34, 0.17, 0.06, -0.24),
        (0.385, 0.05, 0.02, 0.01, -0.12),
        (0.42, 0.16, 0.07, 0.03, 0.00),
        (0.48, 0.30, 0.13, 0.05, 0.03),
        (0.54, 0.20, 0.08, 0.03, 0.01),
        (0.57, 0.04, 0.02, 0.01, -0.05),
        (0.61, 0.12, 0.05, 0.02, -0.06),
        (0.68, 0.27, 0.12, 0.05, -0.08),
        (0.75, 0.13, 0.05, 0.02, -0.12),
        (0.80, 0.05, 0.02, 0.01, -0.18),
    ]
)
# radius, width and strength of the ring lamp's reflections
BOTTLE_REFLECTIONS = ((0.325, 0.006, 0.25), (0.435, 0.010, 0.75), (0.515, 0.006, 0.40), (0.655, 0.014, 0.45))


@drawn_once
def bottle(canvas: int) -> Surface:
    """The mouth of a brown glass bottle from above, under a ring lamp."""
    rng = rng_for("bottle")
    radius, turn = polar(canvas)
    uneven = radius + 0.003 * np.sin(3 * turn) + 0.002 * mottle(rng, canvas=canvas, units=0.2)
    red, green, blue, height = (np.interp(uneven, BOTTLE_PROFILE[:, 0], part) for part in BOTTLE_PROFILE[:, 1:].T)
    albedo = blur(np.stack([red, green, blue], axis=-1).astype(np.float32), units=0.008)
    # light that travels inside the glass gathers at one side
    glow = 1 + 0.45 * np.cos(turn - 0.8) * edge(uneven - 0.39, soft=0.1)
    alpha = edge(0.80 - radius, soft=0.012)
    surface = plain(alpha, colour=(0.0, 0.0, 0.0), gloss=0.6).paint(np.ones_like(alpha), albedo)
    surface = surface.shade(glow).lift(blur(height.astype(np.float32), units=0.012))
    for middle, width, strength in BOTTLE_REFLECTIONS:
        uneven_light = 0.7 + 0.3 * np.cos(2 * turn + 9 * middle)
        ring = strength * uneven_light * np.exp(-(((uneven - middle) / width) ** 2))
        surface = surface.paint(ring, (0.96, 0.90, 0.80))
    return surface.polish(edge(0.36 - radius, soft=0.06), 0.08)


def coin(rng: np.random.Generator, canvas: int) -> Surface:
    """Four antique coins at fixed places, with small random shifts and rotations."""
    surface = plain(np.zeros((canvas, canvas), np.float32), colour=(0.0, 0.0, 0.0))
    places = [(0.44 * column, 0.44 * row) for row, column in product((-1, 1), repeat=2)]
    for cutting, (u, v) in zip(coin_cuttings(), places, strict=True):
        # from units around the coin's place to the pixels of its cutting
        angle, scale = rng.uniform(-0.15, 0.15), cutting.shape[0] / (2 * COIN_RADIUS) / per_unit(canvas)
        shift = np.array((u, v)) + rng.normal(0, 0.008, size=2)
        matrix = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = (shift * per_unit(canvas)) + (canvas - 1) / 2
        offset = np.full(2, (cutting.shape[0] - 1) / 2) - matrix @ middle
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        placed = cv2.warpAffine(cutting, np.c_[matrix, offset], (canvas, canvas), flags=flags)
        surface = _lay_coin(surface, np.clip(np.asarray(placed), 0, 1))
    return surface


def _lay_coin(surface: Surface, placed: Float[np.ndarray, "c c 2"]) -> Surface:
    grey, cover = placed[..., 0], edge(placed[..., 1] - 0.5, soft=0.012)
    silver = grey[..., None] * np.array((1.0, 0.95, 0.86), np.float32)
    laid = surface.paint(cover, silver).polish(cover, 0.25)
    # the photograph's grey serves as relief, so that highlights move with the lamp
    relief = 0.006 * blur(grey, units=0.01) + 0.01
    return replace(laid.lift(cover * relief), alpha=np.maximum(surface.alpha, cover))


@lru_cache(maxsize=1)
def coin_cuttings() -> list[Float[np.ndarray, "_ _ 2"]]:
    """Cut four large coins out of scikit-image's photograph: grey and cover, square, each coin filling it."""
    grey = photograph("coins")
    cover = coin_cover(grey)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(cover)
    largest = sorted(boxes[1:].tolist(), key=lambda box: -box[cv2.CC_STAT_AREA])[:4]
    cuttings = []
    for left, top, width, height, _ in sorted(largest):
        side = max(width, height) + 4
        row, column = top + height // 2 - side // 2, left + width // 2 - side // 2
        window = np.s_[max(row, 0) : row + side, max(column, 0) : column + side]
        pair = np.stack([grey[window] / 255, cover[window]], axis=-1).astype(np.float32)
        cuttings.append(np.asarray(cv2.resize(pair, (side, side))))
    return cuttings


def coin_cover(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Segment the coins, 1 inside: a watershed from dark and bright pixels, without holes."""
    markers = np.where(grey < 30, 1, np.where(grey > 150, 2, 0))
    gradient = filters.sobel(grey)  # type: ignore[no-untyped-call]
    flooded = segmentation.watershed(gradient, markers) == 2  # type: ignore[no-untyped-call]
    solid = ndimage.binary_fill_holes(flooded).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))))

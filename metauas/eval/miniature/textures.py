"""Materials without an outline: three photographs from scikit-image and a drawn weave; each image is a random crop."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from skimage import data

from metauas.eval.miniature.surface import SPAN, Surface, mottle, per_unit
from metauas.seeding import rng_for

CANVASES_PER_SHEET = 1.65  # a 512-pixel photograph then shows 239 of its pixels in one view
Stops = tuple[tuple[float, float, float], ...]

# the photographs are grey: colours of the darkest, the middle and the brightest grey
BRICK: Stops = ((0.20, 0.11, 0.09), (0.56, 0.31, 0.24), (0.86, 0.80, 0.71))
GRASS: Stops = ((0.05, 0.09, 0.03), (0.31, 0.45, 0.17), (0.83, 0.90, 0.60))
GRAVEL: Stops = ((0.09, 0.08, 0.08), (0.49, 0.47, 0.44), (0.92, 0.90, 0.86))


def photographed(rng: np.random.Generator, canvas: int, *, name: str, stops: Stops) -> Surface:
    """A material that scikit-image has a grey photograph of, coloured by ``stops``."""
    return crop(rng, photograph_sheet(name, stops, canvas), canvas)


def weave(rng: np.random.Generator, canvas: int) -> Surface:
    """A blue and cream twill."""
    return crop(rng, weave_sheet(canvas), canvas)


def crop(rng: np.random.Generator, sheet: Surface, canvas: int) -> Surface:
    """Cut a canvas out of a sheet at random."""
    row, column = rng.integers(0, sheet.canvas - canvas + 1, size=2)
    window = np.s_[row : row + canvas, column : column + canvas]
    return sheet.mapped(lambda part: part[window])


def photograph(name: str) -> UInt8[np.ndarray, "h w"]:
    """Return one of the grey photographs that scikit-image ships."""
    return np.asarray(getattr(data, name)())


@lru_cache(maxsize=8)
def photograph_sheet(name: str, stops: Stops, canvas: int) -> Surface:
    """Colour one of scikit-image's grey photographs; its relief is already in its shading."""
    pixels = round(canvas * CANVASES_PER_SHEET)
    flag = cv2.INTER_AREA if pixels < 512 else cv2.INTER_CUBIC
    grey = np.asarray(cv2.resize(photograph(name).astype(np.float32), (pixels, pixels), interpolation=flag))
    low, middle, high = np.percentile(grey, (0.5, 50, 99.5))
    tones = [np.interp(grey, (low, middle, high), channel) for channel in zip(*stops, strict=True)]
    flat = np.zeros((pixels, pixels), np.float32)
    return Surface(np.stack(tones, axis=-1).astype(np.float32), flat, flat, flat + 1)


@lru_cache(maxsize=4)
def weave_sheet(canvas: int) -> Surface:
    """Draw a 2/2 twill: cream warp over blue weft, each thread a little different from the next."""
    pixels = round(canvas * CANVASES_PER_SHEET)
    rng = rng_for("weave")
    pitch = 0.075
    across, along = thread_coordinates(rng, pixels=pixels, canvas=canvas, pitch=pitch)
    warp_on_top = np.mod(np.floor(across) + np.floor(along), 4) < 2
    warp, weft = (thread_relief(a, b, phase) for a, b, phase in ((across, along, 0.0), (along, across, 2.0)))
    height = np.where(warp_on_top, warp, weft) * np.float32(0.28 * pitch)
    threads = int(pixels / per_unit(canvas) / pitch) + 8
    tone = 1 + 0.05 * rng.standard_normal((2, threads))
    warp_tone = tone[0][np.clip(np.floor(across).astype(int) + 3, 0, threads - 1)]
    weft_tone = tone[1][np.clip(np.floor(along).astype(int) + 3, 0, threads - 1)]
    warp_colour = warp_tone[..., None] * np.array((0.80, 0.76, 0.66))
    weft_colour = weft_tone[..., None] * np.array((0.25, 0.34, 0.50))
    fibres = mottle(rng, pixels=pixels, canvas=canvas, units=0.012)
    albedo = np.where(warp_on_top[..., None], warp_colour, weft_colour) * (1 + 0.06 * fibres[..., None])
    dark_gaps = 0.55 + 0.45 * np.clip(height / (0.2 * pitch), 0, 1)
    albedo = np.clip(albedo * dark_gaps[..., None], 0, 1).astype(np.float32)
    return Surface(albedo, height.astype(np.float32), np.full_like(fibres, 0.05), np.ones_like(fibres))


def thread_coordinates(
    rng: np.random.Generator, *, pixels: int, canvas: int, pitch: float
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """Return the warp and weft thread number at every pixel, whole numbers between threads, gently uneven."""
    axis = np.arange(pixels) / per_unit(canvas) / pitch
    x, y = np.meshgrid(axis, axis)
    sway = [0.10 * mottle(rng, pixels=pixels, canvas=canvas, units=SPAN / 4) for _ in range(2)]
    return (x + sway[0]).astype(np.float32), (y + sway[1]).astype(np.float32)


def thread_relief(
    across: Float[np.ndarray, "n n"], along: Float[np.ndarray, "n n"], phase: float
) -> Float[np.ndarray, "n n"]:
    """Return 0 … 1: a round thread that dives under its neighbours every fourth crossing."""
    profile = 1 - (2 * np.mod(across, 1) - 1) ** 2
    dive = np.sin(np.pi * np.mod(along + np.floor(across) + phase, 4) / 2)
    return np.asarray(np.sqrt(np.clip(profile, 0, 1)) * (0.6 + 0.4 * np.clip(dive, 0, 1)))

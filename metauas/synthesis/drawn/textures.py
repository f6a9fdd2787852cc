"""Textures drawn by code: a scalar pattern, coloured by a random palette.

Every pattern is a function ``(rng, size) -> (size, size)`` float32 in [0, 1].
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32

from metauas.synthesis.drawn.noise import fractal_noise, stretch

Pattern = Callable[[np.random.Generator, int], np.ndarray]


def draw_texture(rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "size size 3"]:
    """Draw one texture (size, size, 3) in [0, 1]: a random pattern, palette and grain."""
    pattern = draw_pattern(rng, size=size)
    if rng.random() < 0.3:  # materials are often a fine pattern on a coarse one
        other = draw_pattern(rng, size=size)
        pattern = stretch(pattern + rng.uniform(0.2, 0.8) * other)
    return colour(rng, pattern)


def draw_pattern(rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "size size"]:
    """Draw one of ``PATTERNS`` with equal chances."""
    return PATTERNS[str(rng.choice(list(PATTERNS)))](rng, size)


def colour(rng: np.random.Generator, pattern: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 3"]:
    """Colour a pattern in [0, 1] by a random palette of three colours along one hue, from subtle to strong contrast."""
    base = rng.uniform(0.1, 0.9)
    contrast = rng.uniform(0.05, 0.6)
    lightness = np.clip(base + contrast * np.array([-0.5, rng.uniform(-0.3, 0.3), 0.5]), 0, 1)
    saturation = rng.uniform(0, 0.35) if rng.random() < 0.7 else 0.0
    palette = np.clip(lightness[:, None] + saturation * rng.uniform(-0.5, 0.5, (1, 3)), 0, 1)
    palette += rng.uniform(-0.5, 0.5, (3, 3)) * saturation * 0.4
    table = np.stack([np.interp(np.linspace(0, 1, 256), (0, 0.5, 1), palette[:, c]) for c in range(3)], axis=1)
    table = np.clip(table, 0, 1).astype(np.float32)
    index = (pattern * 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([index, index, index]), table[None]))


def fractal(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Clouds, plaster, leather: fractal noise of random roughness."""
    coarsest = int(2 ** rng.integers(1, 5))
    return fractal_noise(rng, shape=(size, size), coarsest=coarsest, falloff=rng.uniform(0.4, 0.9))


def grain(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Sand, cast metal: white noise, blurred a little."""
    field = rng.standard_normal((size, size), dtype=np.float32)
    return stretch(cv2.GaussianBlur(field, (0, 0), rng.uniform(0.4, 2.0)))


def brushed(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Brushed metal: noise blurred along one direction."""
    field = rng.standard_normal((size, size), dtype=np.float32)
    return rotate(rng, stretch(cv2.GaussianBlur(field, (0, 0), sigmaX=rng.uniform(4, 15), sigmaY=0.6)))


def grating(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Ribs and corduroy: a sine, square or saw wave at any angle, slightly bent."""
    across = oblique_axis(rng, size) + 0.03 * fractal_noise(rng, shape=(size, size), octaves=2)
    wave = np.sin(2 * np.pi * rng.uniform(4, 30) * across)
    return stretch(np.tanh(rng.choice([0.5, 4.0]) * wave))


def weave(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Cloth: warp and weft threads that pass over each other in turn."""
    threads, float_length = int(rng.integers(6, 22)), int(rng.integers(1, 4))
    position = np.linspace(0, threads, size, endpoint=False, dtype=np.float32)
    profile = np.abs(np.sin(np.pi * position))
    index = position.astype(int)
    over = ((index[:, None] // float_length + index[None, :]) % 2).astype(np.float32)
    cloth = over * profile[:, None] + (1 - over) * profile[None, :]
    return rotate(rng, stretch(cloth + 0.15 * rng.standard_normal((size, size), dtype=np.float32)))


def voronoi(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Pebbles, cells, terrazzo: distance to, or identity of, the nearest of many seeds."""
    ground = np.full((size, size), 255, np.uint8)
    count = int(rng.integers(20, 220))
    ground[rng.integers(0, size, count), rng.integers(0, size, count)] = 0
    distance, label = cv2.distanceTransformWithLabels(
        ground, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    shade = rng.random(int(label.max()) + 1, dtype=np.float32)[label]
    mix = rng.uniform(0, 1)
    return stretch(mix * stretch(distance) + (1 - mix) * shade)


def wood(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Wood grain: rings of a distorted, far-away centre."""
    x, y = pixel_axes(size)
    bend = fractal_noise(rng, shape=(size, size), coarsest=2, octaves=3)
    radius = np.hypot(x * rng.uniform(0.1, 0.4) + rng.uniform(0.2, 2), y) + rng.uniform(0.05, 0.3) * bend
    fibre = cv2.GaussianBlur(rng.standard_normal((size, size), dtype=np.float32), (0, 0), sigmaX=6, sigmaY=0.5)
    return rotate(rng, stretch((radius * rng.uniform(6, 25)) % 1.0 + 0.8 * fibre))


def marble(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Marble: thin veins where a fractal field crosses zero."""
    field = fractal_noise(rng, shape=(size, size), coarsest=3, octaves=5) - 0.5
    return stretch(np.exp(-np.abs(field) * rng.uniform(8, 40)))


def dots(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Perforated sheet or print: a lattice of discs."""
    x, y = pixel_axes(size)
    count = rng.uniform(5, 18)
    wave = np.cos(2 * np.pi * count * x) + np.cos(2 * np.pi * count * y)
    return rotate(rng, stretch(np.tanh(rng.uniform(1, 6) * (wave - rng.uniform(-0.5, 1.2)))))


def tiles(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Bricks and tiles: rectangles of varying shade between joints, each row shifted."""
    rows, columns = int(rng.integers(3, 10)), int(rng.integers(2, 8))
    v = np.linspace(0, rows, size, endpoint=False, dtype=np.float32)[:, None]
    u = np.linspace(0, columns, size, endpoint=False, dtype=np.float32)[None, :]
    u = u + rng.choice([0.0, 0.5]) * (v.astype(int) % 2)
    shade = rng.uniform(0.5, 1, (rows, columns + 1)).astype(np.float32)[v.astype(int), u.astype(int)]
    joint = rng.uniform(0.04, 0.12)
    inside = (np.abs(v % 1 - 0.5) < 0.5 - joint) & (np.abs(u % 1 - 0.5) < 0.5 - joint)
    rough = fractal_noise(rng, shape=(size, size), coarsest=16, octaves=3)
    return stretch(np.where(inside, shade, 0.2) + 0.25 * rough)


PATTERNS: dict[str, Pattern] = {
    p.__name__: p for p in (fractal, grain, brushed, grating, weave, voronoi, wood, marble, dots, tiles)
}


def pixel_axes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x as (1, size) and y as (size, 1), both in [-0.5, 0.5)."""
    axis = np.linspace(-0.5, 0.5, size, endpoint=False, dtype=np.float32)
    return axis[None, :], axis[:, None]


def oblique_axis(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Return the coordinate (size, size) across a random direction."""
    x, y = pixel_axes(size)
    angle = rng.uniform(0, np.pi)
    return (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)


def rotate(rng: np.random.Generator, pattern: np.ndarray) -> Float32[np.ndarray, "s s"]:
    """Turn a pattern by a random angle, enlarged just enough that no mirrored corner shows."""
    size, angle = pattern.shape[0], rng.uniform(0, 2 * np.pi)
    enlarged = abs(np.cos(angle)) + abs(np.sin(angle))
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), np.degrees(angle), enlarged)
    return np.asarray(cv2.warpAffine(pattern, turn, (size, size), borderMode=cv2.BORDER_REFLECT_101))

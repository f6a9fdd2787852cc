"""Perlin and fractal noise, the raw material of masks and textures."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32


def perlin_noise(
    rng: np.random.Generator, *, shape: tuple[int, int], cells: tuple[int, int]
) -> Float32[np.ndarray, "h w"]:
    """Perlin gradient noise of ``shape`` (H, W) on a lattice of ``cells`` (rows, columns), about in [-1, 1].

    The interpolation (Perlin, "Improving noise", SIGGRAPH 2002) is separable, so the field is a product of small
    matrices: ``Dy·Gy·Wxᵀ + Wy·Gx·Dxᵀ``, with W the fade weights of the lattice lines, D = W times the distance to
    them, and (Gy, Gx) unit gradients at the lattice points.
    """
    angle = rng.uniform(0, 2 * np.pi, size=(cells[0] + 1, cells[1] + 1)).astype(np.float32)
    weights_y, distances_y = _lattice_weights(shape[0], cells[0])
    weights_x, distances_x = _lattice_weights(shape[1], cells[1])
    field = _product(distances_y, np.sin(angle), weights_x) + _product(weights_y, np.cos(angle), distances_x)
    return np.float32(np.sqrt(2)) * field


def _product(left: np.ndarray, middle: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``left · middle · rightᵀ`` on one thread; NumPy's takes all cores, whose threads spin if others work."""
    nothing = np.empty(0, np.float32)  # gemm could add a third matrix
    return np.asarray(cv2.gemm(cv2.gemm(left, middle, 1, nothing, 0), right, 1, nothing, 0, flags=cv2.GEMM_2_T))


@lru_cache(maxsize=64)
def _lattice_weights(length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fade weights and weights times distance, both (length, cells + 1), for one axis."""
    position = np.linspace(0, cells, length, endpoint=False, dtype=np.float32)
    distance = position[:, None] - np.arange(cells + 1, dtype=np.float32)
    t = np.clip(1 - np.abs(distance), 0, 1)
    weight = t**3 * (t * (t * 6 - 15) + 10)  # the fade curve is symmetric: f(1 - t) = 1 - f(t)
    return weight, weight * distance


def fractal_noise(
    rng: np.random.Generator, *, shape: tuple[int, int], coarsest: int = 2, octaves: int = 5, falloff: float = 0.55
) -> Float32[np.ndarray, "h w"]:
    """``octaves`` of smooth value noise, each of twice the frequency and ``falloff`` times the height; [0, 1]."""
    field = np.zeros(shape, np.float32)
    height, cells = 1.0, coarsest
    for _ in range(octaves):
        coarse = rng.random((min(cells, shape[0]) + 1, min(cells, shape[1]) + 1), dtype=np.float32)
        field += height * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
        height, cells = height * falloff, cells * 2
    return stretch(field)


def stretch(field: np.ndarray) -> Float32[np.ndarray, "h w"]:
    """Shift and scale a field to exactly [0, 1]; a constant field becomes 0."""
    low, high = float(field.min()), float(field.max())
    return ((field - low) / max(high - low, 1e-12)).astype(np.float32)

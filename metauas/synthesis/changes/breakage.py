"""Broken bodies: the ground shows where a piece of the rim is gone, or through a gap."""

import numpy as np
from jaxtyping import Bool, Float32

from metauas.synthesis.changes.local import crack_region
from metauas.synthesis.changes.objects import dilate
from metauas.synthesis.drawn.scenes import lay
from metauas.synthesis.drawn.shapes import draw_shape

_GAPS = 0.5  # share of gaps; the others are pieces of the rim
NARROW = 1 / 32  # largest extra width of a gap over a crack, on either side, in shares of the side


def broken(
    rng: np.random.Generator,
    image: Float32[np.ndarray, "s s 3"],
    *,
    ground: Float32[np.ndarray, "s s 3"],
    body: Bool[np.ndarray, "s s"],
    widest: float = NARROW,
) -> Float32[np.ndarray, "s s 3"]:
    """Return ``image`` with ``ground``, perhaps in the shade, in place of a part of ``body``.

    Gaps are wider than cracks by up to ``widest`` of the side, on either side.
    """
    size = image.shape[0]
    gone = _gap(rng, size=size, widest=widest) if rng.random() < _GAPS else np.zeros_like(body)
    if not (gone & body).any():
        gone = _bite(rng, body)
    light = np.full((size, size), rng.choice([1.0, rng.uniform(0.4, 1.0)]), np.float32)
    return lay(image, part=gone & dilate(body, pixels=1), surface=ground, light=light, rim=0.0, softness=0.6)


def _gap(rng: np.random.Generator, *, size: int, widest: float) -> Bool[np.ndarray, "s s"]:
    return dilate(crack_region(rng, size), pixels=int(rng.integers(0, 2 + round(size * widest))))


def _bite(rng: np.random.Generator, body: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "s s"]:
    size = body.shape[0]
    rim = np.argwhere(dilate(~body, pixels=1) & body)
    y, x = rim[int(rng.integers(len(rim)))] if len(rim) else (size // 2, size // 2)
    return draw_shape(rng, size=size, centre=(float(x), float(y)), radius=size * rng.uniform(0.03, 0.14))

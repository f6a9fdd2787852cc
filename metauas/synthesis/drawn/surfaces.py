"""Drawn surfaces: two specimens of one material with grain, specks and blotches.

Photographs of asphalt, concrete, metal, leather or stone differ in coarseness, roughness, dirt and sharpness. None of
these is a defect, but a fine crack is.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32

from metauas.synthesis.drawn.noise import fractal_noise
from metauas.synthesis.pictures.picture import Picture

_LARGEST_BLUR = 0.9  # Gaussian sigma of a photograph, pixels


@dataclass(frozen=True)
class Grain:
    """Noise of one size."""

    size: float  # Gaussian sigma, pixels
    stretch: float  # factor of its size from left to right
    strength: float  # standard deviation, in [0, 1] units of brightness

    def draw(self, rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "s s"]:
        """Return a field of mean 0 and deviation ``strength``."""
        return np.float32(self.strength) * _noise(rng, size=size, sigma=(self.size * self.stretch, self.size))


@dataclass(frozen=True)
class Specks:
    """Pores or stones: places where noise is above a level."""

    size: float  # Gaussian sigma of the noise, pixels
    level: float  # in standard deviations of the noise
    contrast: float  # brightness added in a speck, in [0, 1] units; negative for dark specks

    def draw(self, rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "s s"]:
        """Return the brightness that the specks add."""
        above = _noise(rng, size=size, sigma=(self.size, self.size)) - np.float32(self.level)
        return np.float32(self.contrast) * np.clip(3 * above, 0, 1)


@dataclass(frozen=True)
class Surface:
    """One specimen of a material."""

    tone: Float32[np.ndarray, "3"]  # mean colour, RGB in [0, 1]
    tint: Float32[np.ndarray, "3"]  # factor of the grain in each channel, about 1
    grains: tuple[Grain, ...]
    specks: tuple[Specks, ...]
    blotches: float  # strength of slow changes of brightness
    blur: float  # Gaussian sigma of the photograph, pixels

    def draw(self, rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "size size 3"]:
        """Return a picture of the specimen; another generator shows another place."""
        slow = fractal_noise(rng, shape=(size, size), coarsest=int(rng.integers(1, 4)), octaves=3)
        field = np.float32(self.blotches) * (slow - slow.mean())
        layers: tuple[Grain | Specks, ...] = (*self.grains, *self.specks)
        for layer in layers:
            field += layer.draw(rng, size=size)
        if self.blur > 0.2:
            field = np.asarray(cv2.GaussianBlur(field, (0, 0), self.blur))
        seen = cv2.merge([tone + tint * field for tone, tint in zip(self.tone, self.tint, strict=True)])
        return np.clip(seen, 0, 1, out=seen)

    def alike(self, rng: np.random.Generator) -> "Surface":
        """Return another specimen: a little coarser or finer, rougher, dirtier, lighter or blurred."""
        size, strength = np.exp(rng.normal(0, 0.15)), np.exp(rng.normal(0, 0.2))
        return replace(
            self,
            tone=np.clip(self.tone + rng.normal(0, 0.04) + rng.normal(0, 0.01, 3), 0.05, 0.95).astype(np.float32),
            grains=tuple(replace(g, size=g.size * size, strength=g.strength * strength) for g in self.grains),
            specks=tuple(
                replace(s, size=s.size * size, level=s.level + rng.normal(0, 0.15), contrast=s.contrast * strength)
                for s in self.specks
            ),
            blotches=self.blotches * rng.uniform(0.3, 1.7),
            blur=rng.uniform(0, _LARGEST_BLUR),
        )


@dataclass(frozen=True)
class DrawnSurfaces:
    """Surfaces of grained material, with another specimen as sibling."""

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a stationary picture (size, size, 3) of a specimen."""
        surface = draw_surface(rng)
        image, sibling = (surface.alike(rng).draw(rng, size=size) for _ in range(2))
        return Picture(image=image, name="surface", stationary=True, sibling=sibling)


def draw_surface(rng: np.random.Generator) -> Surface:
    """Draw a material: mostly greyish, with one to three sizes of grain and up to three kinds of specks."""
    stretch = rng.uniform(1, 5) if rng.random() < 0.3 else 1.0
    cast = rng.uniform(-0.04, 0.04, 3) if rng.random() < 0.7 else rng.uniform(-0.25, 0.25, 3)
    return Surface(
        tone=np.clip(rng.uniform(0.2, 0.8) + cast, 0.05, 0.95).astype(np.float32),
        tint=(1 + rng.uniform(-0.15, 0.15, 3)).astype(np.float32),
        grains=tuple(
            Grain(size=rng.uniform(0.4, 3.0), stretch=stretch, strength=rng.uniform(0.005, 0.05))
            for _ in range(int(rng.integers(1, 4)))
        ),
        specks=tuple(_specks(rng) for _ in range(int(rng.integers(0, 4)))),
        blotches=rng.uniform(0, 0.25),
        blur=rng.uniform(0, _LARGEST_BLUR),
    )


def _specks(rng: np.random.Generator) -> Specks:
    size = rng.uniform(0.6, 3.5)  # larger ones are rarer
    contrast = rng.uniform(0.05, 0.35) * rng.choice([-1, 1])
    return Specks(size=size, level=rng.uniform(1.5, 2.5) + 0.2 * size, contrast=contrast)


def _noise(rng: np.random.Generator, *, size: int, sigma: tuple[float, float]) -> Float32[np.ndarray, "s s"]:
    """White noise blurred by ``sigma`` (right, down), of mean 0 and deviation 1."""
    white = rng.standard_normal((size, size), dtype=np.float32)
    field = cv2.GaussianBlur(white, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)

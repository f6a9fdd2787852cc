"""Drawn reliefs: uneven surfaces in a light, two places of which lie in two lights, and what scratches or dents them.

Leather, cloth, plaster, foil, cast or rolled metal: what a photograph shows of them is mostly their shading. It changes
when the light comes from another side, which is no defect, while a scratch is shaded by the same light as all the rest.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32

from metauas.synthesis.local import REGIONS
from metauas.synthesis.noise import fractal_noise, stretch
from metauas.synthesis.pictures import Picture
from metauas.synthesis.textures import PATTERNS, Pattern, draw_pattern

_STEADY = 0.6  # share of the materials whose pictures are taken under one lamp, moved a little
_ALBEDO = 0.4  # share of the materials that have a pattern of their own beside their relief


@dataclass(frozen=True)
class Light:
    """A lamp far away.

    Attributes:
        azimuth: where it stands, radians.
        elevation: how high, radians; the lower, the stronger is the shading.
        ambient: share of the light that comes from everywhere.
    """

    azimuth: float
    elevation: float
    ambient: float

    def nearby(self, rng: np.random.Generator, *, turn: float) -> "Light":
        """Return the lamp of another picture, moved by about ``turn`` radians around."""
        return replace(
            self,
            azimuth=self.azimuth + rng.normal(0, turn),
            elevation=float(np.clip(self.elevation + rng.normal(0, 0.15), 0.25, 1.4)),
        )


@dataclass(frozen=True)
class Finish:
    """How a material returns light.

    Attributes:
        tone: its colour, RGB in [0, 1].
        steepness: deviation of its slopes.
        gloss: strength of the highlights; the picture is exposed by as much less.
        sharpness: exponent of the highlights (Blinn, SIGGRAPH 1977).
    """

    tone: Float32[np.ndarray, "3"]
    steepness: float
    gloss: float
    sharpness: float

    def shown(
        self, height: Float32[np.ndarray, "s s"], albedo: Float32[np.ndarray, "s s"], *, light: Light
    ) -> Float32[np.ndarray, "s s 3"]:
        """Return the picture of a relief in pixels of height: Lambert's shading and highlights."""
        across, down = (cv2.Sobel(height, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        upright = 1 / np.sqrt(1 + across * across + down * down)
        slope = -(across * np.float32(np.cos(light.azimuth)) + down * np.float32(np.sin(light.azimuth)))
        lit = _facing(slope, upright, elevation=light.elevation) / np.float32(np.sin(light.elevation))
        half_way = (np.pi / 2 + light.elevation) / 2  # between the lamp and the camera above
        shine = np.float32(self.gloss) * _facing(slope, upright, elevation=half_way) ** np.float32(self.sharpness)
        grey = albedo * (light.ambient + (1 - light.ambient) * lit).astype(np.float32)
        exposed = np.float32(1 / (1 + self.gloss))  # so that highlights are not all that is left
        return np.clip(cv2.merge([exposed * (tone * grey + shine) for tone in self.tone]), 0, 1)


@dataclass(frozen=True)
class DrawnReliefs:
    """Places of uneven surfaces in a light, each picture with another place in another light beside it."""

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a stationary picture (size, size, 3), another place of its material, and what damages it."""
        finish, light = draw_finish(rng), draw_light(rng)
        large = round(size * rng.uniform(1.2, 1.8))
        height, albedo = _height(rng, size=large, steepness=finish.steepness), _albedo(rng, size=large)
        here, there = slice(0, size), slice(large - size, large)
        turn = 0.2 if rng.random() < _STEADY else np.pi
        place, colour = height[here, here], albedo[here, here]
        image = finish.shown(place, colour, light=light)
        other = light.nearby(rng, turn=turn)
        rougher = np.float32(np.exp(rng.normal(0, 0.2)))
        sibling = finish.shown(rougher * height[there, there], albedo[there, there], light=other)

        def faulty(rng: np.random.Generator, _: str) -> Float32[np.ndarray, "s s 3"]:
            return finish.shown(damaged(rng, place, steepness=finish.steepness), colour, light=light)

        return Picture(image=image, name="relief", stationary=True, sibling=sibling, faulty=faulty)


def _facing(
    slope: Float32[np.ndarray, "s s"], upright: Float32[np.ndarray, "s s"], *, elevation: float
) -> Float32[np.ndarray, "s s"]:
    """Cosine of the angle between normals and a direction, 0 behind; ``slope`` is how they lean towards it."""
    lean, rise = np.float32(np.cos(elevation)), np.float32(np.sin(elevation))
    return np.maximum(upright * (slope * lean + rise), 0)


def damaged(
    rng: np.random.Generator, height: Float32[np.ndarray, "s s"], *, steepness: float
) -> Float32[np.ndarray, "s s"]:
    """Return the relief scratched, dented, raised or worn smooth in one region."""
    size = height.shape[0]
    region = REGIONS[str(rng.choice(list(REGIONS)))](rng, size)
    if rng.random() < 0.25:
        worn = cv2.GaussianBlur(height, (0, 0), rng.uniform(2, 6))
        return np.where(region, worn, height)
    depth = cv2.distanceTransform(region.view(np.uint8), cv2.DIST_L2, 3)
    depth = np.minimum(depth, rng.uniform(1, 6))  # pixels from its rim to its ground
    soft = cv2.GaussianBlur(depth, (0, 0), rng.uniform(0.4, 1.5))
    steep = max(steepness, 0.15) * rng.uniform(1.0, 4.0) * rng.choice([-1.0, -1.0, 1.0])
    return height + np.float32(steep) * soft


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a lamp on any side."""
    return Light(azimuth=rng.uniform(0, 2 * np.pi), elevation=rng.uniform(0.35, 1.3), ambient=rng.uniform(0.1, 0.6))


def draw_finish(rng: np.random.Generator) -> Finish:
    """Draw a material, from nearly even to rough, every third one glossy."""
    cast = rng.uniform(-0.05, 0.05, 3) if rng.random() < 0.7 else rng.uniform(-0.25, 0.25, 3)
    return Finish(
        tone=np.clip(rng.uniform(0.2, 0.9) + cast, 0.1, 0.95).astype(np.float32),
        steepness=float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))),
        gloss=rng.uniform(0.1, 0.6) if rng.random() < 1 / 3 else 0.0,
        sharpness=float(np.exp(rng.uniform(np.log(4), np.log(60)))),
    )


def _height(rng: np.random.Generator, *, size: int, steepness: float) -> Float32[np.ndarray, "s s"]:
    """A pattern, or two, as heights in pixels, whose slopes deviate by ``steepness``."""
    pattern = draw_pattern(rng, _RELIEFS, size=size)
    if rng.random() < 0.5:
        pattern = pattern + np.float32(rng.uniform(0.1, 0.8)) * draw_pattern(rng, _RELIEFS, size=size)
    pattern = cv2.GaussianBlur(pattern, (0, 0), rng.uniform(0.6, 1.5))
    slope = max(float(cv2.Sobel(pattern, cv2.CV_32F, 1, 0, scale=1 / 8).std()), 1e-6)
    return np.asarray(pattern * np.float32(steepness / slope))


def _albedo(rng: np.random.Generator, *, size: int) -> Float32[np.ndarray, "s s"]:
    if rng.random() >= _ALBEDO:
        return np.ones((size, size), np.float32)
    pattern = draw_pattern(rng, PATTERNS, size=size)
    return np.float32(1) - np.float32(rng.uniform(0.05, 0.35)) * pattern


def _folds(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Crumpled foil, wrinkled leather: sharp ridges where smooth noise turns back."""
    noise = fractal_noise(rng, shape=(size, size), coarsest=int(rng.integers(3, 14)), octaves=3)
    return stretch(-np.abs(noise - np.float32(0.5)))


def _pores(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "s s"]:
    """Bread, sponge, cast metal: holes in an even surface."""
    sigma = rng.uniform(0.8, 3.5)
    noise = cv2.GaussianBlur(rng.standard_normal((size, size), dtype=np.float32), (0, 0), sigma)
    return stretch(-np.maximum(noise / noise.std() - np.float32(rng.uniform(0.5, 2.0)), 0))


_RELIEFS: dict[str, Pattern] = {
    "folds": _folds,
    "pores": _pores,
    **{name: PATTERNS[name] for name in ("fractal", "grain", "brushed", "grating", "weave", "voronoi", "tiles")},
}

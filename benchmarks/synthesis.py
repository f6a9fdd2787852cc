"""How long one core makes a pair, and the local change against DRAEM's procedure as published.

What is compared runs in turns in one process over the same seeds.

    python benchmarks/synthesis.py [--size 256] [--seeds 20] [--rounds 5]
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import typer
from common import Row, cpu, in_turns, report
from PIL import Image, ImageEnhance, ImageOps

from metauas.seeding import rng_for
from metauas.synthesis import LOCAL_PRESETS, LocalChange, Picture, embedded_synthesizer
from metauas.synthesis.drawn.noise import perlin_noise
from metauas.synthesis.pictures.photographs import embedded_photograph

Seeded = Callable[[np.random.Generator], Any]

OURS, GRID, DRAEM = "ours", "full grid, float64", "DRAEM's procedure"

# --- DRAEM's local change as its paper and published settings describe it, written for this comparison: pixel fields of
# double precision, and 8-bit augmenters of Pillow and OpenCV


def draem_noise(rng, shape, cells):
    """Perlin noise from the four corner fields of every pixel, in float64."""
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    repeats = (shape[0] // cells[0], shape[1] // cells[1])
    grid = np.stack(
        np.meshgrid(*(np.arange(0, c, c / length) for c, length in zip(cells, shape, strict=True)), indexing="ij"),
        axis=-1,
    )
    inside = grid % 1
    corners = {}
    for down in (0, 1):
        for right in (0, 1):
            tile = gradients[down : cells[0] + down, right : cells[1] + right]
            tile = tile.repeat(repeats[0], axis=0).repeat(repeats[1], axis=1)
            corners[down, right] = ((inside - (down, right)) * tile).sum(axis=-1)
    fade = 6 * inside**5 - 15 * inside**4 + 10 * inside**3
    left, right = (corners[0, x] + fade[..., 0] * (corners[1, x] - corners[0, x]) for x in (0, 1))
    return math.sqrt(2) * (left + fade[..., 1] * (right - left))


def turned(image, angle):
    height, width = image.shape[:2]
    return cv2.warpAffine(image, cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), (width, height))


def draem_augmenters(rng):
    """The ten augmenters on 8-bit images."""

    def gamma(image):
        table = np.stack([np.arange(256) / 255] * 3, axis=-1) ** rng.uniform(0.5, 2.0, 3)
        return cv2.LUT(image, np.rint(table * 255).astype(np.uint8)[None])

    def light(image):
        luma, red, blue = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
        table = np.clip(np.arange(256) * rng.uniform(0.8, 1.2) + rng.uniform(-30, 30), 0, 255).astype(np.uint8)
        return cv2.cvtColor(cv2.merge([cv2.LUT(luma, table), red, blue]), cv2.COLOR_YCrCb2RGB)

    def hue(image):
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL).astype(np.int16)
        hsv[..., 0] = (hsv[..., 0] + rng.integers(-50, 51)) % 256
        hsv[..., 1] = np.clip(hsv[..., 1] + rng.integers(-50, 51), 0, 255)
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL)

    def pillow(function):
        return lambda image: np.asarray(function(Image.fromarray(image)))

    return [
        gamma,
        light,
        pillow(lambda image: ImageEnhance.Sharpness(image).enhance(rng.uniform(0, 2))),
        hue,
        pillow(lambda image: ImageOps.solarize(image, int(rng.integers(32, 129))) if rng.random() < 0.5 else image),
        pillow(lambda image: ImageOps.posterize(image, int(rng.integers(1, 9)))),
        pillow(ImageOps.invert),
        pillow(lambda image: ImageOps.autocontrast(image, cutoff=int(rng.integers(0, 21)))),
        pillow(ImageOps.equalize),
        lambda image: turned(image, rng.uniform(-45, 45)),
    ]


def draem_change(image, texture, rng):
    """Return the image with DRAEM's local change, and its mask: the procedure once the texture is read and resized."""
    augmenters = draem_augmenters(rng)
    for number in rng.choice(len(augmenters), 3, replace=False):
        texture = augmenters[number](texture)
    cells = 2 ** rng.integers(0, 6, 2)
    noise = turned(draem_noise(rng, image.shape[:2], cells), rng.uniform(-90, 90))
    mask = np.where(noise > 0.5, np.ones_like(noise), np.zeros_like(noise))[..., None]
    foreign = texture.astype(np.float32) * mask / 255.0
    beta = rng.uniform(0, 0.8)
    changed = image * (1 - mask) + (1 - beta) * foreign + beta * image * mask
    return changed.astype(np.float32), mask.astype(np.float32)


# --- ours


@dataclass(frozen=True)
class OneTexture:
    """A texture at hand, the same for both sides of the comparison."""

    image: np.ndarray

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        return Picture(image=self.image)


def noises(size: int) -> dict[str, Seeded]:
    def cells(rng: np.random.Generator) -> tuple[int, int]:
        return int(2 ** rng.integers(0, 6)), int(2 ** rng.integers(0, 6))

    return {
        GRID: lambda rng: draem_noise(rng, (size, size), cells(rng)),
        OURS: lambda rng: perlin_noise(rng, shape=(size, size), cells=cells(rng)),
    }


def local_changes(size: int) -> dict[str, Seeded]:
    """The local change alone, picture and texture being at hand."""
    image, texture = (
        cv2.resize(embedded_photograph(name), (size, size), interpolation=cv2.INTER_AREA) for name in ("chelsea", "ihc")
    )
    own_image, own_texture = (np.float32(pixels / 255) for pixels in (image, texture))
    change = LocalChange(OneTexture(own_texture), **LOCAL_PRESETS["draem"])
    return {
        DRAEM: lambda rng: draem_change(own_image, texture, rng),
        OURS: lambda rng: change(own_image, rng=rng),
    }


def whole_pairs(size: int) -> dict[str, Seeded]:
    """Whole pairs on the fly: pictures, change, poses, light and mask."""
    synthesize = embedded_synthesizer(size=size)
    for index in range(50):  # photographs are read and segmented once
        synthesize(rng_for("first", index))
    return {OURS: synthesize}


# --- the rows


def milliseconds(calls: dict[str, Seeded], *, seeds: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU milliseconds of one call, the mean over the seeds, for each round."""
    return in_turns(
        {name: cpu(_all_seeds(call, seeds), unit=1e-3 * seeds) for name, call in calls.items()}, rounds=rounds
    )


def _all_seeds(call: Seeded, seeds: int) -> Callable[[], None]:
    def run() -> None:
        for seed in range(seeds):
            call(rng_for("benchmark", seed))

    return run


def main(size: int = 256, seeds: int = 20, rounds: int = 5, out: Path | None = None) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    end = f"at {size} px, one core"
    noise, change, pairs = (
        milliseconds(calls(size), seeds=seeds, rounds=rounds) for calls in (noises, local_changes, whole_pairs)
    )
    rows = [
        Row(what=f"Perlin noise {end}", unit="ms", ours=noise[OURS], against=GRID, reference=noise[GRID]),
        Row(
            what=f"local change of the preset draem {end}",
            unit="ms",
            ours=change[OURS],
            against=DRAEM,
            reference=change[DRAEM],
        ),
        Row(what=f"whole pair of the default recipe {end}", unit="ms", ours=pairs[OURS]),
    ]
    report(rows, out=out)


if __name__ == "__main__":
    typer.run(main)

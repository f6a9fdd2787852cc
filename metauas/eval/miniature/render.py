"""One image of Miniature: the flawless picture, the photograph, and the exact mask of their difference."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from metauas.errors import InputError, check_choice
from metauas.eval.miniature.camera import View, develop, draw_view, photograph
from metauas.eval.miniature.catalogue import CATALOGUE, CATEGORIES, Defect
from metauas.eval.miniature.surface import Surface
from metauas.seeding import rng_for

VISIBLE = 6 / 255  # smaller differences are lost in the sensor noise
SMALLEST_SPECK = 0.0002  # shares of the image: smaller regions are no defect, smaller holes no gap
AREA = (0.0025, 0.12)  # shares of the image that a defect may mark
ATTEMPTS = 40
CANVAS_PER_PIXEL = 1.5
SMALLEST_SIZE = 32
Key = tuple[int | str, ...]


@dataclass(frozen=True)
class Sample:
    """One image with its ground truth.

    Attributes:
        image: the photograph (H, W, 3), RGB bytes with sensor noise.
        mask: True (H, W) where the product is defective; all False in a good image.
        flawless: (H, W, 3) in [0, 1], the same exposure of the flawless product, without noise.
        ideal: (H, W, 3) in [0, 1], the photograph without noise.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: Bool[np.ndarray, "h w"]
    flawless: Float[np.ndarray, "h w 3"]
    ideal: Float[np.ndarray, "h w 3"]


def render_sample(*, category: str, split: str, index: int, seed: int = 0, size: int = 256) -> Sample:
    """Render one image; it depends on these arguments alone.

    Args:
        category: one of ``CATEGORIES``.
        split: its folder in MVTec AD's layout: ``train/good``, ``test/good`` or ``test/<defect>``.
        index: number of the image in that folder.
        seed: seed of the whole benchmark.
        size: side of the image in pixels.

    Raises:
        InputError: the category or split is unknown, or the size too small.
    """
    entry = CATALOGUE[check_choice(name="category", value=category, choices=CATEGORIES)]
    check_choice(name="split", value=split, choices=splits(category))
    check_size(size)
    key = (seed, "miniature", category, split, index)
    surface = entry.draw(rng_for(*key, "product"), round(size * CANVAS_PER_PIXEL))
    view = draw_view(rng_for(*key, "view"), setting=entry.setting, size=size)
    flawless = photograph(surface, view)
    damage = entry.defects.get(split.removeprefix("test/"))
    if damage is None:
        ideal, mask = flawless, np.zeros((size, size), dtype=np.bool_)
    else:
        ideal, mask = _visible_defect(damage, surface=surface, view=view, flawless=flawless, key=key)
    image = develop(rng_for(*key, "noise"), ideal, noise=view.noise)
    return Sample(image=image, mask=mask, flawless=flawless, ideal=ideal)


def _visible_defect(
    damage: Defect, *, surface: Surface, view: View, flawless: np.ndarray, key: Key
) -> tuple[Float[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Draw a defect repeatedly until it marks a share of the picture within ``AREA``."""
    for attempt in range(ATTEMPTS):
        ideal = photograph(damage(rng_for(*key, "defect", attempt), surface), view)
        mask = visible_change(flawless, ideal)
        if AREA[0] <= mask.mean() <= AREA[1]:
            return ideal, mask
    raise RuntimeError(f"no visible defect in {ATTEMPTS} attempts for {key} at {view.size} pixels")


def splits(category: str) -> list[str]:
    """Return the image folders of a category in MVTec AD's layout."""
    return ["train/good", "test/good", *(f"test/{defect}" for defect in CATALOGUE[category].defects)]


def check_size(size: int) -> None:
    """Raise InputError if images of this size are too small to show a defect."""
    if size < SMALLEST_SIZE:
        raise InputError(f"size={size} is too small to show a defect; give at least {SMALLEST_SIZE} pixels")


def visible_change(before: Float[np.ndarray, "h w 3"], after: Float[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Mark pixels that differ by more than ``VISIBLE`` in a channel; drop specks, close small holes."""
    changed = np.abs(after - before).max(axis=-1) > VISIBLE
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    closed = np.asarray(cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, kernel)) > 0
    return ~_without_specks(~_without_specks(closed))


def _without_specks(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    _, labels, regions, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = regions[:, cv2.CC_STAT_AREA] >= max(2, SMALLEST_SPECK * mask.size)
    keep[0] = False
    return np.asarray(keep[labels], dtype=np.bool_)

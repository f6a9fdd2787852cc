"""What there is: nine products, how each is photographed, and what goes wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from metauas.eval.miniature import board, defects, objects, textures
from metauas.eval.miniature.camera import Setting
from metauas.eval.miniature.defects import Defect
from metauas.eval.miniature.surface import Colour, Surface

Draw = Callable[[np.random.Generator, int], Surface]
"""Draws the product of one image on a canvas of so many pixels a side."""


@dataclass(frozen=True)
class Category:
    """One product.

    Attributes:
        draw: its flawless surface.
        setting: how it is photographed.
        defects: what can be wrong with it, by the name of the folder.
    """

    draw: Draw
    setting: Setting
    defects: Mapping[str, Defect]


DARK: Colour = (0.05, 0.045, 0.04)
BARE_METAL: Colour = (0.88, 0.88, 0.86)
RUST: tuple[Colour, Colour] = ((0.55, 0.27, 0.10), (0.25, 0.12, 0.06))
VERDIGRIS: tuple[Colour, Colour] = ((0.32, 0.58, 0.48), (0.16, 0.30, 0.25))
INKS: tuple[Colour, ...] = ((0.62, 0.10, 0.12), (0.12, 0.12, 0.14), (0.12, 0.42, 0.20))
PAINTS: tuple[Colour, ...] = ((0.75, 0.16, 0.12), (0.90, 0.78, 0.20), (0.15, 0.35, 0.62), (0.92, 0.92, 0.90))
CORDS: tuple[Colour, ...] = ((0.85, 0.30, 0.12), (0.20, 0.35, 0.70), (0.90, 0.90, 0.86))
LINT: tuple[Colour, ...] = ((0.82, 0.82, 0.80), (0.70, 0.20, 0.18), (0.30, 0.45, 0.75))

CATALOGUE: Mapping[str, Category] = {
    "board": Category(
        draw=board.board,
        setting=Setting(turn=6, shift=0.05, zoom=0.03, backdrop=(0.80, 0.80, 0.81), weave=0.006),
        defects={
            "glue": defects.glue,
            "missing_part": board.missing_part,
            "shifted_part": board.shifted_part,
        },
    ),
    "bottle": Category(
        draw=objects.bottle,
        setting=Setting(turn=180, shift=0.05, zoom=0.05, backdrop=(0.90, 0.90, 0.89), weave=0.004),
        defects={
            "broken_large": partial(defects.broken_glass, ring=(0.42, 0.72), radius=(0.19, 0.27)),
            "broken_small": partial(defects.broken_glass, ring=(0.40, 0.56), radius=(0.08, 0.12)),
            "contamination": partial(defects.fibre, colours=LINT, width=0.03, length=(0.4, 0.7), ring=(0.0, 0.25)),
        },
    ),
    "brick": Category(
        draw=textures.brick,
        setting=Setting(),
        defects={
            "chip": partial(defects.chip, colour=(0.70, 0.42, 0.30)),
            "crack": partial(defects.crack, colour=DARK),
            "stain": partial(defects.stain, colour=(0.52, 0.50, 0.50), gloss=0.06),
        },
    ),
    "coin": Category(
        draw=objects.coin,
        setting=Setting(turn=8, shift=0.05, zoom=0.04, backdrop=(0.15, 0.07, 0.10), weave=0.10),
        defects={
            "corrosion": partial(defects.crust, colours=VERDIGRIS),
            "missing": defects.missing_piece,
            "scratch": partial(defects.scratch, colour=(0.97, 0.96, 0.93)),
        },
    ),
    "gear": Category(
        draw=objects.gear,
        setting=Setting(turn=180, shift=0.06, zoom=0.05, backdrop=(0.26, 0.29, 0.34), weave=0.03),
        defects={
            "bent_tooth": partial(
                defects.bent_tooth, teeth=objects.TEETH, root=objects.GEAR_ROOT, tip=objects.GEAR_TIP
            ),
            "broken_tooth": partial(defects.broken_tooth, teeth=objects.TEETH, root=objects.GEAR_ROOT),
            "rust": partial(defects.crust, colours=RUST, ring=(0.25, 0.6)),
        },
    ),
    "grass": Category(
        draw=textures.grass,
        setting=Setting(turn=12),
        defects={
            "cord": partial(defects.fibre, colours=CORDS, width=0.035, length=(0.7, 1.1)),
            "dry": defects.dry_patch,
            "foil": partial(defects.foil, colour=(0.72, 0.73, 0.75), radius=0.13),
        },
    ),
    "gravel": Category(
        draw=textures.gravel,
        setting=Setting(turn=12),
        defects={
            "metal": partial(defects.foil, colour=(0.55, 0.42, 0.22), radius=0.10),
            "oil": partial(defects.stain, colour=(0.42, 0.38, 0.34), gloss=0.12),
            "paint": partial(defects.paint_spot, colours=PAINTS),
        },
    ),
    "nut": Category(
        draw=objects.nut,
        setting=Setting(turn=180, shift=0.08, zoom=0.06, backdrop=(0.62, 0.66, 0.70), weave=0.015),
        defects={
            "chipped": partial(defects.broken_edge, fracture=(0.80, 0.66, 0.40)),
            "dent": partial(defects.dent, ring=(0.4, 0.62)),
            "scratch": partial(defects.scratch, colour=(0.98, 0.90, 0.66), ring=(0.38, 0.65)),
        },
    ),
    "weave": Category(
        draw=textures.weave,
        setting=Setting(turn=6),
        defects={
            "hole": partial(defects.hole, beneath=(0.12, 0.10, 0.09)),
            "ink": partial(defects.paint_spot, colours=INKS),
            "pulled_thread": defects.pulled_thread,
        },
    ),
}

CATEGORIES: tuple[str, ...] = tuple(CATALOGUE)
"""The nine category names, sorted."""

DEFECTS: Mapping[str, tuple[str, ...]] = {name: tuple(entry.defects) for name, entry in CATALOGUE.items()}
"""The defect names of every category, sorted."""

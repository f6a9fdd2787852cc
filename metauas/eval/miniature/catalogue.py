"""The nine products, how each is photographed, and its defects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from metauas.eval.miniature import breakage, circuit_board, marks, objects, textures
from metauas.eval.miniature.camera import Setting
from metauas.eval.miniature.surface import Colour, Draw, Surface

#: Returns a damaged copy of a surface.
Defect = Callable[[np.random.Generator, Surface], Surface]


@dataclass(frozen=True)
class Category:
    """One product.

    Attributes:
        draw: returns its flawless surface.
        setting: how it is photographed.
        defects: by the name of their folder.
    """

    draw: Draw
    setting: Setting
    defects: Mapping[str, Defect]


DARK: Colour = (0.05, 0.045, 0.04)
RUST: tuple[Colour, Colour] = ((0.55, 0.27, 0.10), (0.25, 0.12, 0.06))
VERDIGRIS: tuple[Colour, Colour] = ((0.36, 0.50, 0.43), (0.17, 0.25, 0.21))
INKS: tuple[Colour, ...] = ((0.62, 0.10, 0.12), (0.12, 0.12, 0.14), (0.12, 0.42, 0.20))
PAINTS: tuple[Colour, ...] = ((0.75, 0.16, 0.12), (0.90, 0.78, 0.20), (0.15, 0.35, 0.62), (0.92, 0.92, 0.90))
CORDS: tuple[Colour, ...] = ((0.85, 0.30, 0.12), (0.20, 0.35, 0.70), (0.90, 0.90, 0.86))
LINT: tuple[Colour, ...] = ((0.82, 0.82, 0.80), (0.70, 0.20, 0.18), (0.30, 0.45, 0.75))

CATALOGUE: Mapping[str, Category] = {
    "board": Category(
        draw=circuit_board.board,
        setting=Setting(turn=6.0, shift=0.05, zoom=0.03, backdrop=(0.80, 0.80, 0.81), weave=0.006),
        defects={
            "glue": marks.glue,
            "missing_part": circuit_board.missing_part,
            "shifted_part": circuit_board.shifted_part,
        },
    ),
    "bottle": Category(
        draw=objects.bottle,
        setting=Setting(turn=180.0, shift=0.05, zoom=0.05, backdrop=(0.90, 0.90, 0.89), weave=0.004),
        defects={
            "broken_large": partial(breakage.broken_glass, ring=(0.42, 0.72), radius=(0.19, 0.27)),
            "broken_small": partial(breakage.broken_glass, ring=(0.40, 0.56), radius=(0.08, 0.12)),
            "contamination": partial(marks.fibre, colours=LINT, width=0.03, length=(0.4, 0.7), ring=(0.0, 0.25)),
        },
    ),
    "brick": Category(
        draw=partial(textures.photographed, name="brick", stops=textures.BRICK),
        setting=Setting(),
        defects={
            "chip": partial(marks.chip, colour=(0.64, 0.44, 0.35)),
            "crack": partial(marks.crack, colour=DARK),
            "stain": partial(marks.stain, colour=(0.52, 0.50, 0.50), gloss=0.06),
        },
    ),
    "coin": Category(
        draw=objects.coin,
        setting=Setting(turn=8.0, shift=0.05, zoom=0.04, backdrop=(0.15, 0.07, 0.10), weave=0.10),
        defects={
            "corrosion": partial(marks.crust, colours=VERDIGRIS),
            "missing": breakage.missing_piece,
            "scratch": partial(marks.scratch, colour=(0.97, 0.96, 0.93)),
        },
    ),
    "gear": Category(
        draw=objects.gear,
        setting=Setting(turn=180.0, shift=0.06, zoom=0.05, backdrop=(0.26, 0.29, 0.34), weave=0.03),
        defects={
            "bent_tooth": partial(
                breakage.bent_tooth, teeth=objects.TEETH, root=objects.GEAR_ROOT, tip=objects.GEAR_TIP
            ),
            "broken_tooth": partial(breakage.broken_tooth, teeth=objects.TEETH, root=objects.GEAR_ROOT),
            "rust": partial(marks.crust, colours=RUST, ring=(0.25, 0.6)),
        },
    ),
    "grass": Category(
        draw=partial(textures.photographed, name="grass", stops=textures.GRASS),
        setting=Setting(turn=12.0),
        defects={
            "cord": partial(marks.fibre, colours=CORDS, width=0.035, length=(0.7, 1.1)),
            "dry": marks.dry_patch,
            "foil": partial(marks.foil, colour=(0.72, 0.73, 0.75), radius=0.15),
        },
    ),
    "gravel": Category(
        draw=partial(textures.photographed, name="gravel", stops=textures.GRAVEL),
        setting=Setting(turn=12.0),
        defects={
            "metal": partial(marks.foil, colour=(0.55, 0.42, 0.22), radius=0.10),
            "oil": partial(marks.stain, colour=(0.42, 0.38, 0.34), gloss=0.12),
            "paint": partial(marks.paint_spot, colours=PAINTS),
        },
    ),
    "nut": Category(
        draw=objects.nut,
        setting=Setting(turn=180.0, shift=0.08, zoom=0.06, backdrop=(0.62, 0.66, 0.70), weave=0.015),
        defects={
            "chipped": partial(breakage.broken_edge, fracture=(0.80, 0.66, 0.40)),
            "dent": partial(marks.dent, ring=(0.4, 0.62)),
            "scratch": partial(marks.scratch, colour=(0.98, 0.90, 0.66), ring=(0.38, 0.65)),
        },
    ),
    "weave": Category(
        draw=textures.weave,
        setting=Setting(turn=6.0),
        defects={
            "hole": partial(breakage.hole, beneath=(0.22, 0.16, 0.12)),
            "ink": partial(marks.paint_spot, colours=INKS),
            "pulled_thread": breakage.pulled_thread,
        },
    ),
}

#: Names of the categories, sorted.
CATEGORIES: tuple[str, ...] = tuple(CATALOGUE)
#: Names of the defects of each category, sorted.
DEFECTS: Mapping[str, tuple[str, ...]] = {name: tuple(entry.defects) for name, entry in CATALOGUE.items()}

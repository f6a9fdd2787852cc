"""Named settings of a synthesis: ours, and those of public code.

Public code swaps the two images at random, so appearance and disappearance have equal shares here. ``colour`` stands
for its changes of hue and saturation.
"""

from dataclasses import asdict
from typing import Any

from metauas.synthesis.changes.local_region import LOCAL_PRESETS, USUAL_FILLINGS, USUAL_REGIONS
from metauas.synthesis.variation import Variation

_POSE = {name: getattr(Variation(), name) for name in ("rotation", "shift", "scale")}
_STILL = asdict(Variation.off())
_PUBLISHED = {"pictures": {"photographs": 1.0}, "decoys": 0.0}

#: The reproduction by ggoodd: half inpainted objects; the rest in equal parts exchange and Perlin texture.
GGOODD = {
    **_PUBLISHED,
    **LOCAL_PRESETS["reproduction"],
    "mixture": {"appearance": 0.25, "disappearance": 0.25, "exchange": 0.25, "local": 0.25},
    "variation": _STILL | _POSE,
}

#: The paper's shares: one half local, the other of object-level changes (section 4.1), made as ggoodd makes them.
PAPER = {**GGOODD, "mixture": {"appearance": 1 / 6, "disappearance": 1 / 6, "exchange": 1 / 6, "local": 0.5}}

#: The reproduction by DeLunnLi: half local; the rest in equal parts exchange and inpainted objects.
DELUNNLI = {
    **_PUBLISHED,
    **LOCAL_PRESETS["reproduction"],
    "mixture": {"appearance": 0.125, "disappearance": 0.125, "exchange": 0.25, "local": 0.5},
    "variation": _STILL
    | {"rotation": 30.0, "shift": 0.05, "scale": 0.05, "brightness": 0.05, "contrast": 0.05, "colour": 0.05},
}

#: DRAEM (Zavrtanik et al., ICCV 2021): up to 0.8 of the picture shows through; the prompt is the picture itself.
DRAEM = {**_PUBLISHED, **LOCAL_PRESETS["draem"], "mixture": {"local": 1.0}, "variation": _STILL}

#: The training pairs of the released weights: mostly two specimens in different light and pose. A quarter are whole or
#: broken goods, most local changes are cracks, and three tenths are windows of larger pairs.
GOODS = {
    "mixture": {"appearance": 0.04, "disappearance": 0.16, "exchange": 0.12, "local": 0.43, "unchanged": 0.25},
    "zoomed": 0.3,
    "pictures": {
        "photographs": 0.08,
        "drawn_scenes": 0.02,
        "drawn_textures": 0.03,
        "drawn_products": 0.14,
        "drawn_materials": 0.1,
        "drawn_assemblies": 0.13,
        "drawn_surfaces": 0.25,
        "drawn_goods": 0.25,
    },
    "textures": {"drawn_textures": 0.8, "photographs": 0.2},
    "regions": (*USUAL_REGIONS, "stroke", "crack", "crack", "hairline", "hairline", "hairline"),
    "fillings": (*USUAL_FILLINGS, "smooth", "shift", "shade", "shade", "gap", "gap", "gap"),
    "opacity": (0.25, 1.0),
    "variation": {
        "rotation": 8.0,
        "scale": 0.06,
        "spun": 0.15,
        "brightness": 0.15,
        "contrast": 0.3,
        "colour": 0.09,
        "shading": 0.2,
        "blur": 0.9,
        "noise": 0.03,
    },
}

PRESETS: dict[str, dict[str, Any]] = {
    "offline": {},
    "paper": PAPER,
    "ggoodd": GGOODD,
    "delunnli": DELUNNLI,
    "draem": DRAEM,
    "goods": GOODS,
}

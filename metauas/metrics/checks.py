"""The metrics' arguments: their types, and checks."""

import numpy as np
from jaxtyping import Bool, Float

from metauas.errors import InputError

#: The anomaly maps of a category, its masks, True where defective, and its labels, True for anomalous images.
Maps = Float[np.ndarray, "n h w"]
Masks = Bool[np.ndarray, "n h w"]
Labels = Bool[np.ndarray, " n"]
#: Maps and masks that may differ in size from image to image.
MapList = list[Float[np.ndarray, "_ _"]]
MaskList = list[Bool[np.ndarray, "_ _"]]


def check_category(maps: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> None:
    """Raise InputError unless there are N maps (N, H, W), boolean masks (N, H, W) and boolean labels (N,), no NaN."""
    if maps.ndim != 3 or maps.size == 0:
        raise InputError(f"maps have the shape {maps.shape}; give (N, H, W) with at least one image")
    if masks.shape != maps.shape:
        raise InputError(f"masks have the shape {masks.shape}, maps {maps.shape}; resize masks to maps")
    if labels.shape != maps.shape[:1]:
        raise InputError(f"labels have the shape {labels.shape}; give one for each of the {len(maps)} maps")
    check_boolean("masks", masks)
    check_boolean("labels", labels)
    check_not_nan("maps", maps.max(axis=(1, 2)))  # the maximum of a map is NaN if any of its pixels is


def check_boolean(name: str, array: np.ndarray) -> None:
    """Raise InputError unless ``array`` is boolean; numbers would be used as indices."""
    if array.dtype != np.bool_:
        verb = "are" if name.endswith("s") else "is"
        raise InputError(f"{name} {verb} {array.dtype}, not boolean; pass {name} > 0")


def check_not_nan(name: str, values: np.ndarray) -> None:
    """Raise InputError if a value is NaN; names the images."""
    if len(bad := np.flatnonzero(np.isnan(values))):
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        raise InputError(f"{name} hold NaN at image index {shown} (of {len(values)}); NaN has no rank")


def check_pro_limit(pro_limit: float) -> None:
    """Raise InputError unless ``pro_limit`` is in (0, 1]."""
    if not 0 < pro_limit <= 1:
        raise InputError(f"pro_limit={pro_limit} is no false-positive rate; give a number in (0, 1], usually 0.3")

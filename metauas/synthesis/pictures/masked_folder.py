"""Photographs with masks of their objects as picture files: a folder of each."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Int32

from metauas.errors import InputError
from metauas.files import require_folder
from metauas.files.images import IMAGE_SUFFIXES, list_images, read_image
from metauas.files.listing import NOT_READ, LeftOut, pictures_left_out, tell_left_out
from metauas.files.masks import read_labels
from metauas.synthesis.pictures.crops import AreaLimits, picture_of_objects
from metauas.synthesis.pictures.held_out import names_in_split
from metauas.synthesis.pictures.picture import Picture


class MaskedFolder:
    """Square crops of photographs around their masked objects.

    ``masks/<stem>.*`` belongs to ``images/<stem>.*`` and has its size. 0 is background. If there is one other
    value, or the mask is soft, each connected region is an object. If there are several values, each is one object,
    as in Pascal VOC's ``SegmentationObject`` and DAVIS. Images without a mask are left out with a warning.

    Args:
        images: folder of the photographs.
        masks: folder of the masks, grey or with a palette; see ``metauas.files.masks``.
        smallest: smallest share of image and crop that an object may cover.
        largest: largest share of the crop.
        void: a value that belongs to no object, such as 255 in Pascal VOC.
        split: ``train``, ``validation`` (every 20th image, by a hash of its name) or ``all``.

    Attributes:
        files: the photographs of the split.
        left_out: pictures of both folders that are not used, each with the reason.

    Raises:
        InputError: a folder is missing, two files have one stem, or no image of the split has a mask.
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path,
        *,
        smallest: float = 0.004,
        largest: float = 0.15,
        void: int | None = None,
        split: str = "train",
    ) -> None:
        self.limits = AreaLimits(smallest, largest)
        self.masks = require_folder(masks)
        self.void = void
        found = by_stem(list_images(require_folder(images)))
        self._masks = by_stem(list_images(self.masks))
        have_mask = [file for stem, file in found.items() if stem in self._masks]
        used = {*have_mask, *(self._masks[file.stem] for file in have_mask)}
        self.left_out = _left_out(Path(images), self.masks, used=used)
        chosen = set(names_in_split([file.stem for file in have_mask], split))
        self.files = tuple(file for file in have_mask if file.stem in chosen)
        if not self.files:
            raise InputError(
                f"{len(have_mask)} of {len(found)} images in {images} have a mask <stem>.png in {masks}, and none of "
                f"them is in split {split!r}; name masks after their images, or give split='all'"
            )
        tell_left_out(images, self.left_out)

    def __len__(self) -> int:
        return len(self.files)

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a random square crop around a random object of a random photograph.

        Raises:
            InputError: naming a photograph or mask that is damaged, or a mask that does not fit its photograph.
        """
        file = self.files[int(rng.integers(len(self.files)))]
        mask = self._masks[file.stem]
        photograph, labels = read_image(file), read_labels(mask, void=self.void)
        if labels.shape != photograph.shape[:2]:
            raise InputError(f"{mask} and {file} differ in size: {labels.shape}, {photograph.shape[:2]}")
        objects = objects_of(labels, void=self.void)
        return picture_of_objects(photograph, objects, limits=self.limits, rng=rng, size=size, name=file.name)


def by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Return files by their stems.

    Raises:
        InputError: naming two files of one stem.
    """
    found: dict[str, Path] = {}
    for file in files:
        if (first := found.setdefault(file.stem, file)) != file:
            raise InputError(f"{first} and {file.name} have the same stem; keep one of them")
    return found


def _left_out(images: Path, masks: Path, *, used: set[Path]) -> tuple[LeftOut, ...]:
    """Return the pictures in both folders and their subfolders that belong to no pair of photograph and mask."""

    def reason(file: Path) -> str:
        if file.parent not in (images, masks):
            return f"is one folder deeper than {images if file.is_relative_to(images) else masks}"
        if file.suffix.lower() not in IMAGE_SUFFIXES:
            return NOT_READ
        return "has no mask of its stem" if file.parent == images else "is a mask without an image"

    found = (pictures_left_out(folder, used=used, reason=reason) for folder in (images, masks))
    return tuple(dict.fromkeys(chain.from_iterable(found)))  # one folder may be in the other


def objects_of(labels: Int32[np.ndarray, "h w"], *, void: int | None = None) -> Sequence[Bool[np.ndarray, "h w"]]:
    """Return a mask (H, W) for each value, or for each connected region if there is one value only."""
    values = [int(value) for value in np.unique(labels) if value not in (0, void)]
    if len(values) != 1:
        return [labels == value for value in values]
    count, region = cv2.connectedComponents((labels == values[0]).astype(np.uint8), connectivity=8)
    return [region == number for number in range(1, count)]

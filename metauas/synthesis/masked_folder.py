"""Photographs with masks of their objects as picture files: a folder of each."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Int32

from metauas.errors import InputError
from metauas.files import require_folder
from metauas.image_files import open_image
from metauas.images import list_images, read_image
from metauas.synthesis.crops import AreaLimits, picture_of_objects
from metauas.synthesis.held_out import names_in_split
from metauas.synthesis.pictures import Picture


class MaskedFolder:
    """Square crops of photographs around their masked objects.

    ``masks/<stem>.png`` belongs to ``images/<stem>.*`` and has its size. 0 is background. If there is one other
    value, each connected region is an object; if there are several, each value is one (as in Pascal VOC's
    ``SegmentationObject`` and DAVIS). Images without a mask are left out.

    Args:
        images: folder of the photographs.
        masks: folder of the masks, grey or palette PNG.
        smallest: smallest share of image and crop that an object may cover.
        largest: largest share of the crop.
        void: a value that belongs to no object, such as 255 in Pascal VOC.
        split: ``train``, ``validation`` (every 20th image, by a hash of its name) or ``all``.

    Raises:
        InputError: a folder is missing, or no image of the split has a mask.
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
        found = list_images(require_folder(images))
        have_mask = [file for file in found if self._mask_of(file).is_file()]
        chosen = set(names_in_split([file.stem for file in have_mask], split))
        self.files = tuple(file for file in have_mask if file.stem in chosen)
        if not self.files:
            raise InputError(
                f"{len(have_mask)} of {len(found)} images in {images} have a mask <stem>.png in {masks}, and none of "
                f"them is in split {split!r}; name masks after their images, or give split='all'"
            )

    def __len__(self) -> int:
        """Return the number of photographs with a mask."""
        return len(self.files)

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a random square crop around a random object of a random photograph.

        Raises:
            InputError: naming a photograph or mask that is damaged, or a mask that does not fit its photograph.
        """
        file = self.files[int(rng.integers(len(self.files)))]
        photograph, labels = read_image(file), read_labels(self._mask_of(file))
        if labels.shape != photograph.shape[:2]:
            raise InputError(f"{self._mask_of(file)} and {file} differ in size: {labels.shape}, {photograph.shape[:2]}")
        objects = objects_of(labels, void=self.void)
        return picture_of_objects(photograph, objects, limits=self.limits, rng=rng, size=size, name=file.name)

    def _mask_of(self, file: Path) -> Path:
        return self.masks / f"{file.stem}.png"


def read_labels(path: Path) -> Int32[np.ndarray, "h w"]:
    """Read a grey or palette picture as its values (H, W).

    Raises:
        InputError: naming the file if it is no image, or one of colours.
    """
    with open_image(path, what="a mask") as image:
        values = np.asarray(image)
    if values.ndim == 3 and values.shape[2] in (2, 4):  # transparency says nothing about objects
        values = values[..., :-1]
    if values.ndim == 3 and (values[..., :3] == values[..., :1]).all():  # grey, saved as colours
        values = values[..., 0]
    if values.ndim != 2:
        raise InputError(f"{path} is a picture in colours; save masks as grey or palette PNG, a value for each object")
    return values.astype(np.int32)


def objects_of(labels: Int32[np.ndarray, "h w"], *, void: int | None = None) -> Sequence[Bool[np.ndarray, "h w"]]:
    """Return a mask (H, W) for each value, or for each connected region if there is one value only."""
    values = [int(value) for value in np.unique(labels) if value not in (0, void)]
    if len(values) != 1:
        return [labels == value for value in values]
    count, region = cv2.connectedComponents((labels == values[0]).astype(np.uint8), connectivity=8)
    return [region == number for number in range(1, count)]

"""The test images of a category."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metauas.eval.benchmarks.layouts import Category, load_mask, load_sample
from metauas.files.images import resize_mask_official, stack_images

#: Memory for images that are kept between seeds and methods; further images are read again.
KEEP_BYTES = 2**30
_BYTES_PER_PIXEL = 3 * 4  # float32 RGB

Item = TypeVar("Item")


class Queries:
    """The test images, masks and labels of one category.

    Args:
        category: the category.
        size: side to which images and masks are resized, pixels.
        keep_bytes: memory for images that are kept, bytes.

    Attributes:
        category: the category.
        size: side of images and masks, pixels.
        masks: (N, size, size), True where defective.
        labels: (N,), True for anomalous images.

    Raises:
        InputError: a file cannot be read; names it.
    """

    masks: Bool[np.ndarray, "n size size"]
    labels: Bool[np.ndarray, " n"]

    def __init__(self, category: Category, *, size: int, keep_bytes: int = KEEP_BYTES) -> None:
        self.category = category
        self.size = size
        self.labels = np.array([sample.label for sample in category.test], dtype=bool)
        self.masks = np.empty((len(category.test), size, size), dtype=bool)
        self._kept: list[Tensor] = []
        for index, sample in enumerate(category.test):
            image, self.masks[index] = load_sample(sample, size)
            if (index + 1) * _BYTES_PER_PIXEL * size**2 <= keep_bytes:
                self._kept.append(image)

    @cached_property
    def official_masks(self) -> Bool[np.ndarray, "n size size"]:
        """The masks (N, size, size), resized as the official code does."""
        masks = (load_mask(sample, self.size, resize=resize_mask_official) for sample in self.category.test)
        return np.stack(list(masks))

    def __len__(self) -> int:
        return len(self.category.test)

    def images(self, indices: Sequence[int]) -> Float[Tensor, "b 3 size size"]:
        """Return some of the images, (B, 3, size, size) in [0, 1], in the order asked for."""
        return torch.stack([self._image(index) for index in indices])

    def batches(self, batch_size: int) -> Iterator[Float[Tensor, "_ 3 size size"]]:
        """Yield all images in order, ``batch_size`` at once."""
        for indices in pieces(range(len(self)), batch_size):
            yield self.images(indices)

    def _image(self, index: int) -> Float[Tensor, "3 size size"]:
        if index < len(self._kept):
            return self._kept[index]
        return stack_images([self.category.test[index].path], size=self.size)[0]


def pieces(items: Sequence[Item], length: int) -> Iterator[Sequence[Item]]:
    """Yield ``items`` in pieces of ``length``; the last may be shorter."""
    for start in range(0, len(items), length):
        yield items[start : start + length]

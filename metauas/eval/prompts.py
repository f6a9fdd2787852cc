"""Which normal image a query is compared with: a random one, the most similar of its category, or of all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from metauas.errors import InputError, check_choice
from metauas.eval.layouts import Category
from metauas.images import stack_images
from metauas.seeding import rng_for

PROMPTS = ("random", "nearest", "pool")


def random_prompts(category: Category, *, seed: int) -> Path:
    """Return the one normal image that serves all test images of ``category``.

    It depends on the seed, the category's name and its images alone, not on the other categories.

    Raises:
        InputError: if the category has no normal image.
    """
    if not category.train_good:
        raise InputError(f"category {category.name!r} has no normal image to take a prompt from")
    index = rng_for(seed, category.name).integers(len(category.train_good))
    return category.train_good[index]


class NearestPrompts:
    """Prompts by cosine similarity to the query, among normal images that are embedded once.

    Prompt ``nearest`` looks into the pool of the query's own category, prompt ``pool`` into all of them,
    without being told the category.

    Args:
        embed: turns images (B, 3, H, W) in [0, 1] into vectors (B, D), on any device.
        pool: normal images of each category.
        size: height and width in pixels to which the pool is resized, those of the queries.
        batch_size: images embedded at once.

    Raises:
        InputError: if there is no category, one without images, or an embedding that is not finite.
    """

    def __init__(
        self,
        embed: Callable[[Tensor], Tensor],
        pool: Mapping[str, Sequence[Path]],
        *,
        size: int,
        batch_size: int = 32,
    ) -> None:
        _check_pool(pool)
        self._embed = embed
        self._rows: dict[str, slice] = {}
        self._paths: list[Path] = []
        for name, paths in pool.items():
            self._rows[name] = slice(len(self._paths), len(self._paths) + len(paths))
            self._paths += paths
        starts = range(0, len(self._paths), batch_size)
        batches = (stack_images(self._paths[start : start + batch_size], size=size) for start in starts)
        self._vectors = torch.cat([_unit_vectors(embed, images) for images in batches])

    def select(self, queries: Float[Tensor, "b 3 h w"], *, category: str | None = None) -> list[Path]:
        """Return the most similar normal image for each query, of ``category`` if given, else of all.

        The first in the order of the pool wins a tie.

        Raises:
            InputError: if the category is not in the pool, or an embedding is not finite.
        """
        rows = slice(0, len(self._paths)) if category is None else self._rows_of(category)
        similarity = _unit_vectors(self._embed, queries) @ self._vectors[rows].T
        return [self._paths[rows.start + index] for index in similarity.argmax(dim=1).tolist()]

    def right_class_share(self, chosen: Sequence[Path], *, category: str) -> float:
        """Return the share of prompts ``chosen`` for queries of ``category`` that are of this category.

        Raises:
            InputError: if the category is not in the pool, or nothing was chosen.
        """
        own = set(self._paths[self._rows_of(category)])
        if not chosen:
            raise InputError(f"no prompt was chosen for category {category!r}; select some first")
        return sum(path in own for path in chosen) / len(chosen)

    def _rows_of(self, category: str) -> slice:
        return self._rows[check_choice(name="category", value=category, choices=self._rows)]


def _check_pool(pool: Mapping[str, Sequence[Path]]) -> None:
    if not pool:
        raise InputError("the pool of prompts is empty; give the normal images of at least one category")
    for name, paths in pool.items():
        if not paths:
            raise InputError(f"the pool holds no image of category {name!r}; add some or take the category out")


def _unit_vectors(embed: Callable[[Tensor], Tensor], images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
    with torch.no_grad():
        vectors = embed(images).float().cpu()
    if not vectors.isfinite().all():  # NaN would win every comparison
        raise InputError("an embedding is not finite; check the encoder's weights and the images")
    return F.normalize(vectors, dim=1)

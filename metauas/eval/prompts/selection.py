"""Selection of prompts: random normal images, the most similar ones of the category, or of all categories."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from metauas.errors import InputError, check_choice
from metauas.eval.benchmarks.layouts import Category
from metauas.files.images import stack_images
from metauas.machine import halving_batches
from metauas.seeding import rng_for

#: Files of the K normal images with which a query is compared; one in the paper.
Prompt = tuple[Path, ...]


def random_prompts(category: Category, *, seed: int, shots: int = 1) -> Prompt:
    """Return ``shots`` different normal images, the prompt of all test images of ``category``.

    They depend on the seed and on the category's name and images alone. More shots add images to those of fewer shots.

    Raises:
        InputError: the category has fewer normal images.
    """
    check_shots(shots, available=len(category.train_good), where=f"category {category.name!r}")
    return _drawn(category, seed=seed, count=shots)


def normal_images(category: Category, *, seed: int, count: int | None) -> Sequence[Path]:
    """Return ``count`` normal images, drawn as by ``random_prompts``; all of them for None or if fewer exist."""
    if count is None or count >= len(category.train_good):
        return category.train_good
    return _drawn(category, seed=seed, count=count)


def _drawn(category: Category, *, seed: int, count: int) -> Prompt:
    rng = rng_for(seed, category.name)
    first = int(rng.integers(len(category.train_good)))
    others = rng.permutation(np.delete(np.arange(len(category.train_good)), first))
    return tuple(category.train_good[index] for index in [first, *others][:count])


def draw_defective(category: Category, *, seed: int) -> int:
    """Return the index of the defective test image of ``category`` that is the prompt for ``seed``."""
    defective = _defective(category)
    return defective[int(rng_for(seed, category.name, "defective").integers(len(defective)))]


def defective_prompts(category: Category, *, seed: int) -> list[Prompt]:
    """Return the drawn defective image as prompt of every test image; its own prompt is the next defective one."""
    defective = _defective(category)
    drawn = draw_defective(category, seed=seed)
    other = defective[(defective.index(drawn) + 1) % len(defective)]
    return [(category.test[other if index == drawn else drawn].path,) for index in range(len(category.test))]


def check_defects(category: Category, *, who: str) -> None:
    """Check that a category has at least two defective test images: one as prompt, and one to find.

    Raises:
        InputError: it has fewer; names the category and ``who`` needs them.
    """
    if (count := len(_defective(category))) < 2:
        need = "one for the prompt and at least one to find"
        raise InputError(f"category {category.name!r} has {count} defective test images; {who} needs {need}")


def _defective(category: Category) -> list[int]:
    return [index for index, sample in enumerate(category.test) if sample.label]


def check_shots(shots: int, *, available: int, where: str) -> None:
    """Check that there are at least as many normal images as shots.

    Raises:
        InputError: there are fewer; says where, and how many.
    """
    if not available:
        raise InputError(f"{where} has no normal image to take a prompt from")
    if not 1 <= shots <= available:
        raise InputError(f"shots={shots}: {where} has {available} normal images; choose a number from 1 to {available}")


def right_class_share(chosen: Sequence[Prompt], category: Category) -> float:
    """Return the share of prompt images, chosen for queries of ``category``, that are normal images of this category.

    Raises:
        InputError: no prompt was chosen.
    """
    files = Counter(path for prompt in chosen for path in prompt)
    if not files:
        raise InputError(f"no prompt was chosen for category {category.name!r}; select some first")
    own = {path.resolve() for path in category.train_good}
    return sum(count for path, count in files.items() if path.resolve() in own) / files.total()


class NearestPrompts:
    """Prompts by cosine similarity to the query, among normal images that are embedded once.

    The vectors of the pool are kept in memory, 4 · P · D bytes.

    Args:
        embed: maps images (B, 3, H, W) in [0, 1] to vectors (B, D), on any device.
        pool: normal images of each category.
        size: side to which the pool is resized, that of the queries, pixels.
        batch_size: images per batch; halved as often as memory runs out.

    Raises:
        InputError: there is no category, a category has no images, or an embedding is not finite.
    """

    def __init__(
        self, embed: Callable[[Tensor], Tensor], pool: Mapping[str, Sequence[Path]], *, size: int, batch_size: int = 32
    ) -> None:
        if not pool:
            raise InputError("the pool of prompts is empty; give the normal images of at least one category")
        if empty := [name for name, paths in pool.items() if not paths]:
            raise InputError(f"the pool holds no image of category {empty[0]!r}; add some or remove the category")
        self._embed = embed
        self._rows: dict[str, slice] = {}
        self._paths: list[Path] = []
        for name, paths in pool.items():
            self._rows[name] = slice(len(self._paths), len(self._paths) + len(paths))
            self._paths += paths
        self._vectors = halving_batches(
            lambda length: _embed_files(embed, self._paths, size=size, batch_size=length),
            batch_size=batch_size,
            size=size,
        )

    def select(self, queries: Float[Tensor, "b 3 h w"], *, category: str | None = None, shots: int = 1) -> list[Prompt]:
        """Return the ``shots`` most similar normal images for each query, of ``category`` if given, else of all.

        The most similar one is first; equally similar ones are in the order of the pool.

        Raises:
            InputError: the category is not in the pool or has fewer images, or an embedding is not finite.
        """
        if category is None:
            rows, where = slice(0, len(self._paths)), "the pool"
        else:
            rows = self._rows[check_choice(name="category", value=category, choices=self._rows)]
            where = f"category {category!r}"
        check_shots(shots, available=rows.stop - rows.start, where=where)
        nearest = most_similar(_unit_vectors(self._embed, queries), self._vectors[rows], count=shots)
        return [tuple(self._paths[rows.start + index] for index in indices) for indices in nearest.tolist()]


def most_similar(queries: Float[Tensor, "b d"], pool: Float[Tensor, "p d"], *, count: int) -> Int[Tensor, "b count"]:
    """Return the rows of ``pool`` with the highest products with each query, highest first; ties in row order."""
    return (queries @ pool.T).argsort(dim=1, descending=True, stable=True)[:, :count]


def _embed_files(
    embed: Callable[[Tensor], Tensor], paths: Sequence[Path], *, size: int, batch_size: int
) -> Float[Tensor, "p d"]:
    """Return unit vectors of image files, in one tensor from the start: concatenation would take twice the memory."""
    vectors = torch.empty(0)
    for start in range(0, len(paths), batch_size):
        some = _unit_vectors(embed, stack_images(paths[start : start + batch_size], size=size))
        if start == 0:
            vectors = torch.empty(len(paths), some.shape[1])
        vectors[start : start + len(some)] = some
    return vectors


def _unit_vectors(embed: Callable[[Tensor], Tensor], images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
    with torch.no_grad():
        vectors = embed(images).float().cpu()
    if not vectors.isfinite().all():  # NaN would rank first
        raise InputError("an embedding is not finite; check the encoder's weights and the images")
    return F.normalize(vectors, dim=1)

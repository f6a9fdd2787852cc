"""Example pictures: products of the Miniature benchmark, drawn in memory; no network was trained on them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from metauas.eval.miniature import CATEGORIES, DEFECTS, render_sample

GOOD = "flawless"
FIRST = "grass"  # shown first
_SIDE = 256  # pixels
_SEED = 0


@dataclass(frozen=True, eq=False)
class Example:
    """A normal picture of a product, and one under test, RGB bytes."""

    prompt: UInt8[np.ndarray, "h w 3"]
    query: UInt8[np.ndarray, "h w 3"]


def list_examples() -> dict[str, tuple[str, ...]]:
    """Return each product's queries: its kinds of defect, then a flawless one."""
    return {product: (*DEFECTS[product], GOOD) for product in CATEGORIES}


def draw_example(product: str, kind: str) -> Example:
    """Draw a product's prompt, and a query of one kind of ``list_examples``.

    Raises:
        InputError: there is no such product or kind.
    """
    split = "test/good" if kind == GOOD else f"test/{kind}"
    prompt, query = (
        render_sample(category=product, split=folder, index=0, seed=_SEED, size=_SIDE).image
        for folder in ("train/good", split)
    )
    return Example(prompt, query)

"""Example pictures: products of the Miniature benchmark, drawn in memory; no network was trained on them."""

from metauas.eval.miniature import CATEGORIES, DEFECTS, render_sample
from metauas.explorer.session import Question

GOOD = "flawless"
FIRST = "grass"  # shown first
_SIDE = 256  # pixels
_SEED = 0


def list_examples() -> dict[str, tuple[str, ...]]:
    """Return each product's queries: its kinds of defect, then a flawless one."""
    return {product: (*DEFECTS[product], GOOD) for product in CATEGORIES}


def draw_example(product: str, kind: str) -> Question:
    """Draw a product's prompt, and a query of one kind of ``list_examples``.

    Raises:
        InputError: there is no such product or kind.
    """
    splits = ("train/good", "test/good" if kind == GOOD else f"test/{kind}")
    samples = (render_sample(category=product, split=split, index=0, seed=_SEED, size=_SIDE) for split in splits)
    prompt, query = (sample.image for sample in samples)
    return Question(prompt=prompt, query=query)

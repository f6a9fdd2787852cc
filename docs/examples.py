"""Make the picture of the README: maps of the released weights for three products of Miniature.

python docs/examples.py
"""

from dataclasses import replace
from pathlib import Path

from metauas import plots
from metauas.eval import draw_examples, open_benchmark
from metauas.model import ScaleAverage, load_checkpoint

SHOWN = ("bottle", "grass", "weave")


def main() -> None:
    """Draw the examples."""
    miniature = open_benchmark("miniature")
    shown = replace(miniature, categories=tuple(c for c in miniature.categories if c.name in SHOWN))
    plots.notebook_style()
    examples = draw_examples(ScaleAverage(load_checkpoint("lite")), shown, size=256, seed=1, per_category=2)
    plots.save_figure(plots.show_examples(examples), Path(__file__).with_suffix(".png"))


if __name__ == "__main__":
    main()

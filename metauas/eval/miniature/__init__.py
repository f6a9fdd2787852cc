"""A small anomaly benchmark in MVTec AD's layout, drawn from a seed: nothing to download, seconds to write.

Nine products (three photographed textures, photographed coins, a drawn weave, four drawn objects) with three
kinds of defect each. A product is a surface with colour, relief and gloss; a defect changes the surface; a
camera photographs both in the same pose and light, and the mask is where the two pictures differ visibly. No
code is shared with the training synthesis, so that a model cannot win by knowing the generator.
"""

from metauas.eval.miniature.catalogue import CATEGORIES, DEFECTS
from metauas.eval.miniature.render import Sample, render_category, render_sample
from metauas.eval.miniature.write import Counts, write_miniature

__all__ = [
    "CATEGORIES",
    "DEFECTS",
    "Counts",
    "Sample",
    "render_category",
    "render_sample",
    "write_miniature",
]

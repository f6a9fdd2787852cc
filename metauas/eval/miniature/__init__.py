"""Miniature: a small anomaly benchmark in MVTec AD's layout, drawn from a seed in seconds.

Nine products (three photographed textures, photographed coins, a drawn weave, four drawn objects) have three kinds of
defect each. A product is a surface with colour, relief and gloss; a defect changes the surface. A camera photographs
both in the same pose and light; the mask marks where the two pictures differ visibly. The training synthesis shares no
code with it, so that a model gains nothing from knowing the generator.
"""

from metauas.eval.miniature.catalogue import CATEGORIES, DEFECTS
from metauas.eval.miniature.render import Sample, render_sample
from metauas.eval.miniature.write import Counts, write_miniature

__all__ = ["CATEGORIES", "DEFECTS", "Counts", "Sample", "render_sample", "write_miniature"]

"""MetaUAS: universal anomaly segmentation with one normal image as the prompt (Gao, NeurIPS 2024)."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metauas.model import MetaUAS, create_model, load_checkpoint, load_official, save_checkpoint

__all__ = ["MetaUAS", "create_model", "load_checkpoint", "load_official", "save_checkpoint"]

#: How to cite the paper, in the cards of shared networks and pairs.
CITATION = """```bibtex
@inproceedings{gao2024metauas,
  title     = {{MetaUAS}: Universal Anomaly Segmentation with One-Prompt Meta-Learning},
  author    = {Gao, Bin-Bin},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2024},
  url       = {https://arxiv.org/abs/2505.09265}
}
```"""

# At every barrier libgomp's threads spin for milliseconds by default; on busy cores the thread that all wait for cannot
# run meanwhile. With 10 µs, a step is ten times faster there, and nothing is lost on a quiet machine.
if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:  # a user's own choice
    os.environ["GOMP_SPINCOUNT"] = "10000"  # 10 µs; before anything imports torch; kernels and workers inherit it


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: torch alone takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from metauas import model

    return getattr(model, name)

"""MetaUAS: universal anomaly segmentation with one normal image as the prompt (Gao, NeurIPS 2024)."""

import os
from typing import TYPE_CHECKING, Any

from metauas.threads import let_threads_yield

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

let_threads_yield(os.environ)  # before anything imports torch; kernels and workers inherit it


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: torch alone takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from metauas import model

    return getattr(model, name)

"""MetaUAS: universal anomaly segmentation with one normal image as the prompt (Gao, NeurIPS 2024)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metauas.model import MetaUAS, create_model, load_checkpoint, load_official, save_checkpoint

__all__ = ["MetaUAS", "create_model", "load_checkpoint", "load_official", "save_checkpoint"]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: torch alone takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from metauas import model

    return getattr(model, name)

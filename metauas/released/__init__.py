"""The weights that come with the package: a network that segments without any download or training."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def released_names() -> list[str]:
    """Return the names that ``load_checkpoint`` takes in place of a path."""
    return sorted(file.parent.name for file in _FOLDER.glob("*/model.safetensors"))


def resolve_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint folder that a released name stands for; anything else, and what exists, is a path."""
    given = Path(path)
    return _FOLDER / given if str(path) in released_names() and not given.exists() else given

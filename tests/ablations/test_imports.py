"""What the room may know."""

import ast
from pathlib import Path

import pytest

import metauas

#: Modules of ``metauas.files`` that the room uses; they import no torch either.
GROUND_FILES = ("__init__", "contents", "decoding", "listing", "locks", "maps", "pages", "yaml")


def imported_modules(file):
    """Return every module that a file imports, read off its source, as importing takes seconds."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_the_room_knows_neither_torch_nor_the_other_rooms():
    package = Path(metauas.__file__).parent
    room = sorted((package / "ablations").rglob("*.py"))
    ground = [
        package / "cluster.py",
        package / "errors.py",
        package / "released/__init__.py",
        *(package / "files" / f"{name}.py" for name in GROUND_FILES),
    ]
    imports = {module for file in [*room, *ground] for module in imported_modules(file)}
    own = {module for module in imports if module.startswith("metauas") and ".ablations" not in module}
    names = {".".join(file.relative_to(package.parent).with_suffix("").parts) for file in ground}
    assert own <= {name.removesuffix(".__init__") for name in names}
    assert not imports & {"torch", "torchvision", "timm", "accelerate"}


def test_all_that_the_room_offers_can_be_had():
    import metauas.ablations as room

    assert sorted(room._HOME) == room.__all__
    for name in room.__all__:
        assert callable(getattr(room, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'compere'"):
        room.compere  # noqa: B018

"""What the room may know."""

import ast
from pathlib import Path

import metauas


def imported_modules(file):
    """Return every module that a file imports, read off its source, as importing takes seconds."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_the_room_knows_neither_torch_nor_the_other_rooms():
    package = Path(metauas.__file__).parent
    room = sorted((package / "ablations").glob("*.py"))
    ground = [
        package / "errors.py",
        package / "files.py",
        package / "cluster.py",
        package / "image_files.py",
        package / "locks.py",
        package / "map_files.py",
        package / "notebooks.py",
        package / "pages.py",
        package / "released.py",
        package / "yaml_files.py",
    ]
    imports = {module for file in [*room, *ground] for module in imported_modules(file)}
    own_ground = {f"metauas.{file.stem}" for file in ground}
    own = {module for module in imports if module.startswith("metauas") and ".ablations" not in module}
    assert own == own_ground
    assert not imports & {"torch", "torchvision", "timm", "accelerate"}

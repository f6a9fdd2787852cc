"""Files: atomic writing, locks, and readers of images, masks, maps and YAML."""

from metauas.files.atomic import (
    UNFINISHED,
    atomic_folder,
    atomic_path,
    content_digest,
    read_json,
    remove_unfinished,
    require_file,
    require_folder,
    to_disk,
    write_json,
    write_text,
)

__all__ = [
    "UNFINISHED",
    "atomic_folder",
    "atomic_path",
    "content_digest",
    "read_json",
    "remove_unfinished",
    "require_file",
    "require_folder",
    "to_disk",
    "write_json",
    "write_text",
]

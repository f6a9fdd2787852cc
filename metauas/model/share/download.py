"""Weights from a repository of the Hugging Face Hub."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from metauas.errors import WeightsUnavailableError
from metauas.files.listing import files_below
from metauas.model.share.hub import explained
from metauas.model.weights.checkpoint import WEIGHTS_NAME

#: Suffix of the author's checkpoints.
_CKPT = ".ckpt"
_KEEP_A_COPY = "without a network, put the repository's model.safetensors into a folder and give that folder"


def is_repository(name: str) -> bool:
    """Return whether a name can be that of a repository, ``owner/repository``, and not of a weights file."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if "/" not in name or name.endswith((_CKPT, Path(WEIGHTS_NAME).suffix)):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def download_weights(repo_id: str, *, token: str | bool | None, local_files_only: bool, **where: Any) -> Path:
    """Return the weights file of a repository, downloaded into the cache.

    The file is ``model.safetensors`` or, without it, the only ``.ckpt``. The names of the files are asked for first, as
    the downloader retries for most of a minute. The arguments are those of ``HubMixin.from_pretrained``; ``where`` are
    its ``revision`` and ``cache_dir``.

    Raises:
        WeightsUnavailableError: the repository cannot be reached, or holds no such file; says the way out.
    """
    from huggingface_hub import HfApi, hf_hub_download

    what = f"checkpoint {repo_id!r} is no folder here, and cannot be had from the Hugging Face Hub"
    with explained(WeightsUnavailableError, what, _KEEP_A_COPY):
        names = _cached_names(repo_id, where)
        if not names and not local_files_only:
            # list_repo_files would try again and again without a network
            about = HfApi(token=token).model_info(repo_id, revision=where["revision"])
            names = [file.rfilename for file in about.siblings or ()]
        name = _weights_name(names, repo_id=repo_id) if names else WEIGHTS_NAME
        return Path(hf_hub_download(repo_id, name, **where, token=token, local_files_only=local_files_only))


def _cached_names(repo_id: str, where: dict[str, Any]) -> list[str]:
    """Return the name of our weights file if the cache holds it, else those of the author's checkpoints in it."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(try_to_load_from_cache(repo_id, WEIGHTS_NAME, **where), str):
        return [WEIGHTS_NAME]
    try:
        folder = snapshot_download(repo_id, **where, local_files_only=True, allow_patterns=f"*{_CKPT}")
    except LocalEntryNotFoundError:
        return []
    return [file.relative_to(folder).as_posix() for file in files_below(folder) if file.suffix == _CKPT]


def _weights_name(names: Collection[str], *, repo_id: str) -> str:
    """Return the name of a repository's weights file: ours, else its only checkpoint of the author."""
    if WEIGHTS_NAME in names:
        return WEIGHTS_NAME
    checkpoints = sorted(name for name in names if name.endswith(_CKPT))
    if len(checkpoints) == 1:
        return checkpoints[0]
    found, way_out = f"no {_CKPT} file", "give another repository"
    if checkpoints:
        found = f"several {_CKPT} files ({', '.join(checkpoints)})"
        way_out = f"download one (hf download {repo_id} {checkpoints[0]}) and give its path"
    raise WeightsUnavailableError(f"repository {repo_id!r} holds no {WEIGHTS_NAME} and {found}; {way_out}")

"""Weights from a repository of the Hugging Face Hub."""

from pathlib import Path

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


def download_weights(
    repo_id: str,
    *,
    revision: str | None,
    cache_dir: str | Path | None,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """Return the weights file of a repository, downloaded into the cache.

    The file is ``model.safetensors`` or, without it, the only ``.ckpt``. One request is made first, as the downloader
    retries for most of a minute. The arguments are those of ``HubMixin.from_pretrained``.

    Raises:
        WeightsUnavailableError: the repository cannot be reached, or holds no such file; says the way out.
    """
    from huggingface_hub import hf_hub_download

    what = f"checkpoint {repo_id!r} is no folder here, and cannot be had from the Hugging Face Hub"
    with explained(WeightsUnavailableError, what, _KEEP_A_COPY):
        name = _cached_name(repo_id, revision=revision, cache_dir=cache_dir)
        if name is None:
            name = WEIGHTS_NAME if local_files_only else _remote_name(repo_id, revision=revision, token=token)
        file = hf_hub_download(
            repo_id, name, revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
        )
    return Path(file)


def _cached_name(repo_id: str, *, revision: str | None, cache_dir: str | Path | None) -> str | None:
    """Return the name of the weights file that the cache holds: ours, else the author's; None without any."""
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(try_to_load_from_cache(repo_id, WEIGHTS_NAME, cache_dir=cache_dir, revision=revision), str):
        return WEIGHTS_NAME
    try:
        folder = Path(
            snapshot_download(
                repo_id, revision=revision, cache_dir=cache_dir, local_files_only=True, allow_patterns=f"*{_CKPT}"
            )
        )
    except LocalEntryNotFoundError:
        return None
    names = [path.relative_to(folder).as_posix() for path in files_below(folder) if path.suffix == _CKPT]
    return _only_checkpoint(names, repo_id=repo_id) if names else None


def _remote_name(repo_id: str, *, revision: str | None, token: str | bool | None) -> str:
    """Return the name of the repository's weights file: ours, else its only checkpoint of the author."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    try:
        get_hf_file_metadata(hf_hub_url(repo_id, WEIGHTS_NAME, revision=revision), token=token)
    except EntryNotFoundError:
        names = HfApi(token=token).list_repo_files(repo_id, revision=revision)
        return _only_checkpoint([name for name in names if name.endswith(_CKPT)], repo_id=repo_id)
    return WEIGHTS_NAME


def _only_checkpoint(names: list[str], *, repo_id: str) -> str:
    if len(names) == 1:
        return names[0]
    found, way_out = f"no {_CKPT} file", "give another repository"
    if names:
        found = f"several {_CKPT} files ({', '.join(sorted(names))})"
        way_out = f"download one (hf download {repo_id} {min(names)}) and give its path"
    raise WeightsUnavailableError(f"repository {repo_id!r} holds no {WEIGHTS_NAME} and {found}; {way_out}")

"""Written pairs on the Hugging Face Hub."""

from pathlib import Path
from typing import TYPE_CHECKING

from metauas.errors import InputError
from metauas.files import require_file
from metauas.files.contents import SUMMARY_NAME
from metauas.files.listing import folders_in
from metauas.synthesis.written.card import CARD_NAME
from metauas.synthesis.written.reading import list_shards
from metauas.synthesis.written.report import SKIPPED_NAME

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_LOG_IN = "pushing needs a network and a token with write access (`hf auth login`)"


def push_pairs(folder: str | Path, repo_id: str, *, private: bool = True, api: "HfApi | None" = None) -> str:
    """Upload the shards, card and reports of a finished synthesis; return the commit's address.

    A repeated call sends only missing files.

    Args:
        folder: as ``write_pairs`` leaves it.
        repo_id: ``"owner/repository"`` of a data set; made if it is missing.
        private: visibility of a new repository; the licences of the pictures decide whether it may be public.
        api: the client; by default one with the token of ``hf auth login``.

    Raises:
        InputError: the synthesis is not finished, or the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi  # only now: half a second to import
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx2's, httpx's or requests' own

    source = Path(folder)
    require_file(source / SUMMARY_NAME, hint="`metauas synthesize` writes it when all shards are there")
    for split in folders_in(source):
        list_shards(source, split=split.name)
    api = api or HfApi()
    try:
        repo_id = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id
        return api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=source,
            commit_message="Upload change pairs",
            allow_patterns=["*/pairs-*.parquet", CARD_NAME, SUMMARY_NAME, SKIPPED_NAME],
            delete_patterns=["*/pairs-*.parquet"],  # shards of an earlier push would be read too
        ).commit_url
    except (OSError, HTTPError, ValueError) as error:
        raise InputError(f"cannot push {source} to {repo_id!r}: {error}; {_LOG_IN}") from error

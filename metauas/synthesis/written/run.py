"""Write pairs into a folder of shards with a card, resumable at any moment, and push them to the Hugging Face Hub."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from metauas.cluster import Outcome, open_client, run_here, run_on_cluster
from metauas.errors import InputError
from metauas.files import read_json, require_file, write_json, write_text
from metauas.files.contents import SUMMARY_NAME
from metauas.files.listing import folders_in
from metauas.files.locks import alone_in, clear_unfinished
from metauas.progress import tqdm
from metauas.synthesis.recipe import SynthesisSettings
from metauas.synthesis.written.card import CARD_NAME, SKIPPED_NAME, list_skipped, make_card, summarise
from metauas.synthesis.written.reading import list_shards
from metauas.synthesis.written.record import Record, absolute_paths, make_record
from metauas.synthesis.written.shards import (
    Shard,
    Synthesizers,
    build_synthesizers,
    plan_shards,
    read_content,
    unfinished_shards,
    write_shard,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi


class ShardsFailedError(RuntimeError):
    """Some shards could not be written; the message names each with its error. All others are written."""


def write_pairs(
    settings: SynthesisSettings,
    out: str | Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    gpu: bool = False,
) -> dict[str, Any]:
    """Write the missing pairs of a synthesis into a folder; return its summary.

    The shards are the same to the byte, whatever the number of workers and of interrupted calls. The folder also holds
    a card (``README.md``), ``summary.json`` and ``skipped.json``.

    Args:
        settings: settings of the synthesis.
        out: the folder; made if it is missing.
        scheduler: address of a Dask scheduler whose workers see ``out`` and the settings' folders at the same paths.
        workers: without ``scheduler``: processes on this machine, None for one per core, 0 for this process alone.
        gpu: each shard takes one unit of a worker's resource ``GPU``.

    Raises:
        InputError: a source cannot be used, the folder holds pairs of other settings or another run is writing
            into it, or there is no scheduler at that address.
        ShardsFailedError: some shards could not be written.
    """
    settings, target = absolute_paths(settings), Path(out).resolve()
    shards, record = plan_shards(settings), make_record(settings)
    with alone_in(target):
        todo = unfinished_shards(target, shards=shards, record=record)
        if not todo and (target / SUMMARY_NAME).is_file():
            return read_json(target / SUMMARY_NAME)
        started = perf_counter()
        outcomes = _outcomes(
            partial(write_shard, settings=settings, record=record, out=target),
            todo,
            prepare=partial(build_synthesizers, settings),
            scheduler=scheduler,
            workers=workers,
            gpu=gpu,
        )
        try:
            with closing(outcomes):
                _follow(outcomes, shards=shards, todo=todo)
        finally:
            clear_unfinished(target)  # of workers that were lost
        pairs, seconds = sum(map(len, todo)), perf_counter() - started
        return _describe(target, shards=shards, record=record, pairs=pairs, seconds=seconds)


def _outcomes(
    work: Callable[[Shard, Synthesizers], None],
    todo: Sequence[Shard],
    *,
    prepare: Callable[[], Synthesizers],
    scheduler: str | None,
    workers: int | None,
    gpu: bool,
) -> Generator[Outcome[Shard], None, None]:
    if not todo:
        return
    if workers == 0 and scheduler is None:
        yield from run_here(work, todo, prepare=prepare)
        return
    with open_client(scheduler=scheduler, workers=workers, gpu=gpu) as client:
        yield from run_on_cluster(work, todo, prepare=prepare, client=client, gpu=gpu)


def _follow(outcomes: Iterator[Outcome[Shard]], *, shards: Sequence[Shard], todo: Sequence[Shard]) -> None:
    """Show the progress; at the end, raise an error that names the failed shards."""
    failed, total = {}, sum(map(len, shards))
    with tqdm(total=total, initial=total - sum(map(len, todo)), unit="pair", desc="synthesis") as bar:
        for shard, error in outcomes:
            if error is None:
                bar.update(len(shard))
            else:
                failed[shard.name] = error
                bar.set_postfix(failed=len(failed))
    if failed:
        lines = "\n".join(f"{name}: {error!r}" for name, error in sorted(failed.items()))
        raise ShardsFailedError(f"{len(failed)} of {len(shards)} shards could not be written:\n{lines}")


def _describe(target: Path, *, shards: Sequence[Shard], record: Record, pairs: int, seconds: float) -> dict[str, Any]:
    contents = [read_content(target / shard.name, shard) for shard in shards]
    summary = summarise(contents, record=record, pairs=pairs, seconds=seconds)
    write_json(target / SKIPPED_NAME, list_skipped(contents))
    write_text(target / CARD_NAME, make_card(contents, record=record))
    write_json(target / SUMMARY_NAME, summary)  # last, as it marks the folder as finished
    return summary


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
        raise InputError(
            f"cannot push {source} to {repo_id!r}: {error}; pushing needs a network and a token with write access "
            "(`hf auth login`)"
        ) from error

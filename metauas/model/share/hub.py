"""Networks on the Hugging Face Hub: the files there are those of a checkpoint folder, and a model card."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar, cast

from torch import nn

from metauas import CITATION
from metauas.errors import InputError, WeightsUnavailableError
from metauas.files import write_text
from metauas.model.config import ModelConfig

if TYPE_CHECKING:
    from metauas.model.network import MetaUAS

AnyModel = TypeVar("AnyModel", bound="HubMixin")

CARD_NAME = "README.md"
_KEEP_A_COPY = "without a network, put the repository's model.safetensors into a folder and give that folder"
_LOG_IN = "pushing needs a network and a token with write access ('hf auth login', or token=...)"
_CARD = """
# MetaUAS, preset {preset}

Universal anomaly segmentation with **one normal image as the prompt**: given a query and one normal image of the same
kind, the network says for every pixel of the query how probable it is that something has changed there
([Gao, NeurIPS 2024](https://arxiv.org/abs/2505.09265)). {parameters:,} parameters, {learnt:,} of them learnt.

## How to use it

```python
from metauas.files.images import stack_images
from metauas.model import MetaUAS

model = MetaUAS.from_pretrained({name!r})
prompt = stack_images(["normal.png"], size=256)  # best at the size it was trained at
query = stack_images(["query.png"], size=256)  # (1, 3, 256, 256) in [0, 1]
anomaly_map = model.segment(query, prompt)  # (1, 1, 256, 256) in [0, 1]
score = anomaly_map.amax().item()
```

## Configuration

| choice | value |
|---|---|
{table}

## Citation

{citation}
"""


class HubMixin(nn.Module):
    """Gives the network ``from_pretrained``, ``save_pretrained`` and ``push_to_hub``.

    The signatures are those of ``huggingface_hub.ModelHubMixin``, which is not inherited: it takes half a second to
    import, reads ``config.json`` instead of the header of the weights file, and deletes the old ``config.json`` before
    it writes the new weights.
    """

    config: ModelConfig

    @classmethod
    def from_pretrained(
        cls: type[AnyModel],
        name: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> AnyModel:
        """Load a network from a checkpoint folder or a repository of the Hub, in evaluation mode, on the CPU.

        Args:
            name: a folder (or weights file) as ``save_checkpoint`` writes it, else ``"owner/repository"``. A ``Path``
                is never a repository.
            revision: branch, tag or commit of the repository.
            cache_dir: where downloads are kept, by default huggingface_hub's own cache.
            token: for private repositories, by default that of ``hf auth login``.
            local_files_only: use the cache only.

        Raises:
            WeightsUnavailableError: the repository cannot be reached or holds no weights; says the way out.
            InputError: as ``load_checkpoint``.
        """
        from metauas.model.weights.checkpoint import (
            load_checkpoint,
        )  # only now: it imports the network, which imports this

        if isinstance(name, str) and not Path(name).exists() and _is_repository(name):
            name = _download(
                name, revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
            )
        return cast(AnyModel, load_checkpoint(name))

    def save_pretrained(self, folder: str | Path, *, card: str | None = None) -> Path:
        """Write what ``save_checkpoint`` writes, and a model card, into ``folder``; return the folder.

        Args:
            folder: made if it is missing.
            card: text of the card; by default ``model_card``'s, which leaves a card that is already there alone.
        """
        from metauas.model.weights.checkpoint import save_checkpoint

        target = save_checkpoint(cast("MetaUAS", self), folder)
        if card is not None or not (target / CARD_NAME).exists():
            write_text(target / CARD_NAME, card or model_card(self, name=target.resolve().name))
        return target

    def push_to_hub(
        self,
        repo_id: str,
        *,
        card: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        create_pr: bool = False,
        commit_message: str = "Upload MetaUAS",
    ) -> str:
        """Upload weights, configuration and model card in one commit; return its URL.

        Args:
            repo_id: ``"owner/repository"``; made if it is missing.
            card: text of the card; by default ``model_card``'s, which takes the place of the one that is there.
            private: visibility of a new repository, by default the owner's choice.
            token: by default that of ``hf auth login``.
            branch: by default ``main``.
            create_pr: propose the commit as a pull request.
            commit_message: first line of the commit.

        Raises:
            InputError: the Hub cannot be reached, or refuses.
        """
        from huggingface_hub import HfApi  # only now: half a second to import

        api, what = HfApi(token=token), f"cannot push to {repo_id!r}"
        with _explained(InputError, what, _LOG_IN):
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, card=card or model_card(self, name=repo_id))
            with _explained(InputError, what, _LOG_IN):
                return api.upload_folder(
                    repo_id=repo_id,
                    folder_path=folder,
                    commit_message=commit_message,
                    revision=branch,
                    create_pr=create_pr,
                ).commit_url


def model_card(model: HubMixin, *, name: str) -> str:
    """Return the model card: metadata for the Hub, an example that runs, the configuration and the citation.

    Args:
        model: the network.
        name: repository or folder that the example loads.
    """
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        language="en",
        library_name="metauas",
        license="mit",
        pipeline_tag="image-segmentation",
        tags=["anomaly-segmentation", "anomaly-detection", "change-segmentation", "one-shot", "visual-prompt"],
    )
    counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
    body = _CARD.format(
        preset=model.config.preset,
        parameters=sum(n for n, _ in counts),
        learnt=sum(n for n, learnt in counts if learnt),
        name=name,
        citation=CITATION,
        table="\n".join(f"| `{choice}` | `{value}` |" for choice, value in model.config.model_dump().items()),
    )
    return f"---\n{data.to_yaml()}\n---\n{body}"


def _is_repository(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _download(
    repo_id: str,
    *,
    revision: str | None,
    cache_dir: str | Path | None,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """Return the repository's weights file; one request first, as the downloader retries for most of a minute."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    from metauas.model.weights.checkpoint import WEIGHTS_NAME

    what = f"checkpoint {repo_id!r} is no folder here, and cannot be had from the Hugging Face Hub"
    with _explained(WeightsUnavailableError, what, _KEEP_A_COPY):
        cached = try_to_load_from_cache(repo_id, WEIGHTS_NAME, cache_dir=cache_dir, revision=revision)
        if not (local_files_only or isinstance(cached, str)):
            get_hf_file_metadata(hf_hub_url(repo_id, WEIGHTS_NAME, revision=revision), token=token)
        file = hf_hub_download(
            repo_id,
            WEIGHTS_NAME,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
    return Path(file)


@contextmanager
def _explained(kind: type[InputError], what: str, way_out: str) -> Iterator[None]:
    """Turn all errors of the hub into one kind of error."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx2's, httpx's or requests' own

    try:
        yield
    except (OSError, HTTPError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise kind(f"{what}: {error}; {way_out}") from error

"""Networks on the Hugging Face Hub: the files there are those of a checkpoint folder, and a model card."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar, cast

from torch import nn

from metauas import CITATION
from metauas.errors import InputError
from metauas.files import write_text
from metauas.model.config import ModelConfig
from metauas.model.share.results import read_results, results_section

if TYPE_CHECKING:
    from metauas.model.network import MetaUAS

AnyModel = TypeVar("AnyModel", bound="HubMixin")

CARD_NAME = "README.md"
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
{results}
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
            name: what ``load_checkpoint`` takes, such as a folder, a weights file or ``lite``; else
                ``"owner/repository"`` with such files, or with one checkpoint of the author (``.ckpt``). A ``Path`` is
                never a repository.
            revision: branch, tag or commit of the repository.
            cache_dir: where downloads are kept, by default huggingface_hub's own cache.
            token: for private repositories, by default that of ``hf auth login``.
            local_files_only: use the cache only.

        Raises:
            WeightsUnavailableError: the repository cannot be reached, or holds neither ``model.safetensors`` nor
                exactly one ``.ckpt``; says the way out.
            InputError: as ``load_checkpoint``.
        """
        # only now: they import the network, which imports this
        from metauas.model.share.download import download_weights, is_repository
        from metauas.model.weights.checkpoint import load_checkpoint

        if isinstance(name, str) and not Path(name).exists() and is_repository(name):
            name = download_weights(
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
        metrics: Mapping[str, str | Path] | None = None,
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
            metrics: name of a benchmark to the ``metrics.json`` of an evaluation on it, as in ``model_card``.
            private: visibility of a new repository, by default the owner's choice.
            token: by default that of ``hf auth login``.
            branch: by default ``main``.
            create_pr: propose the commit as a pull request.
            commit_message: first line of the commit.

        Raises:
            InputError: the Hub cannot be reached, or refuses; both ``card`` and ``metrics`` are given; or a file of
                ``metrics`` holds no evaluation.
        """
        from huggingface_hub import HfApi  # only now: half a second to import

        if card is not None and metrics:
            raise InputError("card and metrics are both given; give one, or card=model_card(..., metrics=...)")
        read_results(metrics or {})  # a wrong file is told before a repository is made
        api, what = HfApi(token=token), f"cannot push to {repo_id!r}"
        with explained(InputError, what, _LOG_IN):
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, card=card or model_card(self, name=repo_id, metrics=metrics))
            with explained(InputError, what, _LOG_IN):
                return api.upload_folder(
                    repo_id=repo_id,
                    folder_path=folder,
                    commit_message=commit_message,
                    revision=branch,
                    create_pr=create_pr,
                ).commit_url


def model_card(model: HubMixin, *, name: str, metrics: Mapping[str, str | Path] | None = None) -> str:
    """Return the model card: metadata for the Hub, an example that runs, results, the configuration and the citation.

    Args:
        model: the network.
        name: repository or folder that the example loads.
        metrics: name of a benchmark, such as ``MVTec AD``, to the ``metrics.json`` of an evaluation on it, or the
            folder of this file. The means over categories become a table and the ``model-index`` of the metadata.

    Raises:
        InputError: a file of ``metrics`` is missing or holds no evaluation.
    """
    from huggingface_hub import ModelCardData

    results = read_results(metrics or {})
    data = ModelCardData(
        language="en",
        library_name="metauas",
        license="mit",
        pipeline_tag="image-segmentation",
        tags=["anomaly-segmentation", "anomaly-detection", "change-segmentation", "one-shot", "visual-prompt"],
        model_name=name.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
    body = _CARD.format(
        preset=model.config.preset,
        parameters=sum(n for n, _ in counts),
        learnt=sum(n for n, learnt in counts if learnt),
        name=name,
        results=results_section(results),
        citation=CITATION,
        table="\n".join(f"| `{choice}` | `{value}` |" for choice, value in model.config.model_dump().items()),
    )
    return f"---\n{data.to_yaml()}\n---\n{body}"


@contextmanager
def explained(kind: type[InputError], what: str, way_out: str) -> Iterator[None]:
    """Turn all errors of the hub into one kind of error."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx2's, httpx's or requests' own

    try:
        yield
    except (OSError, HTTPError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise kind(f"{what}: {error}; {way_out}") from error

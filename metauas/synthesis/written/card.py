"""Descriptions of written pairs, read from the finished shards: summary, skipped images, and the card for the Hub."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from metauas import CITATION
from metauas.synthesis.pairs import KINDS
from metauas.synthesis.recipe import PATHS
from metauas.synthesis.written.record import Record, digest_of
from metauas.synthesis.written.shards import ShardContent, row_schema

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

CARD_NAME, SKIPPED_NAME = "README.md", "skipped.json"

#: Libraries that may make other pixels or bytes in another version.
_LIBRARIES = ("numpy", "opencv-python-headless", "scikit-image", "torch", "pyarrow")

Kinds = dict[str, dict[str, int]]  # split → kind → number of pairs

_BODY = """
# Change pairs made by metauas

{pairs:,} pairs of images with a known change, training data for universal anomaly segmentation with **one normal
image as the prompt** ([Gao, NeurIPS 2024](https://arxiv.org/abs/2505.09265)). They contain no real defect: each pair
shows one picture twice, in slightly different pose and light, and in most pairs one of the two images was changed.

| column | content |
|---|---|
| `query` | the image under test, {size} × {size} pixels |
| `prompt` | the normal image |
| `mask` | 255 where the query visibly differs from the prompt, else 0 |
| `kind` | the kind of change |
| `source` | the picture of the pair |
| `index`, `seed`, `size` | number in the split, seed, side in pixels |

## How to use it

```python
from datasets import load_dataset

pairs = load_dataset("this/repository", split="train", streaming=True)  # or this folder
```

In metauas, `metauas.synthesis.WrittenPairs(folder)` and `metauas.synthesis.stream_pairs("this/repository")` read them.

## Kinds of change

{kinds}

## Settings

Made by metauas {version}; digest of all settings `{digest}`. The same settings and pictures give the same pairs.

| setting | value |
|---|---|
{settings}

## Origin and licence

{origin}

## Citation

{citation}
"""

_SHIPPED = "Crops of the photographs that scikit-image ships, each under its own licence (its `data/README.txt`)."
_YOURS = (
    "Crops of pictures from {folders}: their licences hold for the pairs made of them. **Say here which these are "
    "before you publish the data set.** (COCO: images under Flickr's terms of use, annotations under CC BY 4.0.)"
)
_DRAWN = "All other pictures and every mask were made by metauas and are free of other people's rights."


def count_kinds(contents: Sequence[ShardContent]) -> Kinds:
    """Return the number of pairs of each split and kind."""
    counts: dict[str, Counter[str]] = {}
    for content in contents:
        counts.setdefault(content.shard.split, Counter()).update(content.kinds)
    return {split: {kind: count[kind] for kind in KINDS} for split, count in counts.items()}


def summarise(contents: Sequence[ShardContent], *, record: Record, pairs: int, seconds: float) -> dict[str, Any]:
    """Return the summary of a synthesis, ready for JSON.

    ``pairs`` is their number in the last run, and ``seconds`` its duration with the start of the workers.
    """
    kinds = count_kinds(contents)
    return {
        "pairs": {split: sum(counts.values()) for split, counts in kinds.items()},
        "kinds": kinds,
        "shards": len(contents),
        "bytes": sum(content.bytes for content in contents),
        "skipped": sum(len(content.skipped) for content in contents),
        "last run": {"pairs": pairs, "seconds": seconds, "pairs per second": pairs / seconds},
        "digest": digest_of(record),
        "settings": record,
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def list_skipped(contents: Sequence[ShardContent]) -> list[dict[str, Any]]:
    """Return every broken image with its error, its count and its pairs, most frequent first."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for content in contents:
        for item in content.skipped:
            pairs.setdefault((item.file, item.error), []).append(f"{content.shard.split}/{item.index}")
    return [
        {"file": file, "error": error, "count": len(of_pairs), "pairs": of_pairs}
        for (file, error), of_pairs in sorted(pairs.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]


def make_card(contents: Sequence[ShardContent], *, record: Record) -> str:
    """Return the text of ``README.md``: YAML metadata, then the description."""
    kinds = count_kinds(contents)
    body = _BODY.format(
        pairs=sum(len(content.kinds) for content in contents),
        size=record["size"],
        kinds=_kinds_table(kinds),
        version=record["metauas"],
        digest=digest_of(record),
        settings="\n".join(f"| `{name}` | `{value}` |" for name, value in record.items() if value is not None),
        origin=_origin(record),
        citation=CITATION,
    )
    return f"---\n{_metadata(contents).to_yaml()}\n---\n{body}"


def _metadata(contents: Sequence[ShardContent]) -> "DatasetCardData":
    from datasets import DatasetInfo, Features  # only now: seconds to import
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    splits = list(dict.fromkeys(content.shard.split for content in contents))
    files = [{"split": split, "path": f"{split}/pairs-*.parquet"} for split in splits]
    data = DatasetCardData(
        pretty_name="Change pairs made by metauas",
        license="other",
        license_name="see-origin-and-licence",
        task_categories=["image-segmentation"],
        tags=["anomaly-segmentation", "change-segmentation", "synthetic", "metauas"],
        size_categories=size_category(sum(len(content.kinds) for content in contents)),
        configs=[{"config_name": "default", "data_files": files}],
    )
    info = DatasetInfo(features=Features.from_arrow_schema(row_schema()))
    DatasetInfosDict(default=info).to_dataset_card_data(data)
    return data


def size_category(pairs: int) -> str:
    """Return the Hub's word for a number of rows, such as ``10K<n<100K``."""
    if pairs < 1000:
        return "n<1K"
    power = len(str(pairs)) - 1
    low, high = (f"{10 ** (p % 3)}{'KMBT'[p // 3 - 1]}" for p in (power, power + 1))
    return f"{low}<n<{high}"


def _kinds_table(kinds: Kinds) -> str:
    lines = [f"| kind | {' | '.join(kinds)} |", "|---" * (1 + len(kinds)) + "|"]
    totals = {split: sum(counts.values()) for split, counts in kinds.items()}
    for kind in next(iter(kinds.values())):
        cells = [f"{counts[kind]:,} ({counts[kind] / totals[split]:.1%})" for split, counts in kinds.items()]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _origin(record: Record) -> str:
    uses_photographs = bool(record["pictures"].get("photographs") or record["textures"].get("photographs"))
    folders = [f"`{name}` ({record[name]})" for name in PATHS if record[name] is not None]
    shipped = [_SHIPPED] if uses_photographs and record["photographs"] is None else []
    yours = [_YOURS.format(folders=", ".join(folders))] if folders else []
    return "\n".join(f"- {text}" for text in [*shipped, *yours, _DRAWN])

"""How fast the network segments, against a plain implementation of the same formula.

The plain one encodes query and prompt anew for every pair and aligns by two einsums around a softmax. All are timed in
turns in one process, so that a noisy machine is noisy for all; the ratio is that of the medians.

    python benchmarks/model.py [--sizes 256 512] [--batches 1 8] [--rounds 5] [--threads 2] [--no-onnx]
        [--presets lite b4]
"""

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from common import medians, print_table
from torch import Tensor

from metauas.model import PRESETS, MetaUAS, create_model, fast_copy
from metauas.model.alignment import FeatureAlignment


@torch.no_grad()
def plain(model: MetaUAS, queries: Tensor, prompts: Tensor) -> Tensor:
    """Segment with two encoder passes and attention that is written out."""
    features, prompt_features = list(model.encode(queries)), model.encode(prompts)
    first = len(features) - len(model.alignments)
    for stage, align in enumerate(model.alignments, start=first):
        aligned = einsum_softmax(align, features[stage], prompt_features[stage])
        bank = model.fusion.bank(prompt_features[stage])
        features[stage] = model.fusion(features[stage], aligned, bank)
    return model.decoder(features).sigmoid()


def einsum_softmax(align: FeatureAlignment, query: Tensor, prompt: Tensor) -> Tensor:
    """Softly align by the formula as the paper prints it."""
    tokens = [align.tokens(x).transpose(1, 2).unflatten(2, x.shape[-2:]) for x in (query, prompt)]
    sharpness = align.log_sharpness.exp() if align.similarity == "cosine" else 1.0
    scores = sharpness * torch.einsum("bchw,bcyx->bhwyx", *tokens)
    weights = scores.flatten(3).softmax(dim=-1).view_as(scores)
    return torch.einsum("bhwyx,bcyx->bchw", weights, prompt)


def contestants(
    model: MetaUAS, queries: Tensor, prompt: Tensor, *, onnx: Path | None
) -> dict[str, Callable[[], Tensor]]:
    """Return what is compared, the plain one first; all of them make the same maps."""
    prompts = prompt.repeat(len(queries), 1, 1, 1)
    fast = fast_copy(model)
    encoded, encoded_fast = model.encode_prompt(prompt), fast.encode_prompt(prompt)
    found: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain(model, queries, prompts),
        "ours": lambda: model.segment(queries, prompts),
        "prompt cached": lambda: model.segment(queries, encoded),
        "fast copy, prompt cached": lambda: fast.segment(queries, encoded_fast),
    }
    if onnx is not None:
        found["ONNX Runtime, prompt cached"] = onnx_segmenter(model, queries, prompt, folder=onnx)
    return found


def onnx_segmenter(model: MetaUAS, queries: Tensor, prompt: Tensor, *, folder: Path) -> Callable[[], Tensor]:
    """Export the network at this size and return a call that segments the queries with it."""
    from metauas.model import OnnxSegmenter, export_model

    segmenter = OnnxSegmenter(export_model(model, folder, size=queries.shape[-1]), threads=torch.get_num_threads())
    encoded = segmenter.encode_prompt(prompt)
    return lambda: segmenter.segment(queries, encoded)


def compare(model: MetaUAS, *, size: int, batch: int, rounds: int, onnx: bool) -> list[dict[str, object]]:
    """Return one row a contestant: seconds, ratio to the plain one, and how far its maps are away."""
    generator = torch.Generator().manual_seed(0)
    queries = torch.rand(batch, 3, size, size, generator=generator)
    prompt = torch.rand(1, 3, size, size, generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        calls = contestants(model, queries, prompt, onnx=Path(folder) if onnx else None)
        maps = {name: torch.as_tensor(call()) for name, call in calls.items()}
        seconds = medians(calls, rounds=rounds)
    return [
        {
            "pixels": size,
            "batch": batch,
            "how": name,
            "milliseconds": 1000 * seconds[name],
            "times faster": seconds["plain"] / seconds[name],
            "furthest map value": (maps[name] - maps["plain"]).abs().max().item(),
        }
        for name in calls
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-onnx", action="store_true", help="leave ONNX Runtime out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    for preset, size, batch in itertools.product(given.presets, given.sizes, given.batches):
        model = create_model(preset, encoder_weights="random").eval()
        rows = compare(model, size=size, batch=batch, rounds=given.rounds, onnx=not given.no_onnx)
        print_table(rows, title=f"{preset}, {size} px, batch {batch}, {given.threads} threads, float32")


if __name__ == "__main__":
    main()

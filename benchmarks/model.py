"""How fast the network segments, against a plain implementation of the same formula.

The plain one encodes query and prompt for every pair and aligns by two einsums around a softmax. All are timed in turns
in one process, and all make the same maps.

    python benchmarks/model.py [--size 256] [--batch 1] [--rounds 9] [--threads 2] [--no-b4]
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import typer
from common import Row, in_turns, report, wall
from torch import Tensor

from metauas.model import MetaUAS, OnnxSegmenter, create_model, export_model, fast_copy, load_checkpoint
from metauas.model.alignment import FeatureAlignment

AGREEMENT = 1e-4  # largest difference of maps
GOALS = {"fast copy": {"times": 2.0, "limit": 120.0}, "ONNX Runtime": {"times": 4.0, "limit": 60.0}}


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


def contestants(model: MetaUAS, queries: Tensor, prompt: Tensor, *, folder: Path) -> dict[str, Callable[[], Tensor]]:
    """Return what is compared, the plain one first; ONNX Runtime's graphs go into the folder."""
    prompts, fast = prompt.repeat(len(queries), 1, 1, 1), fast_copy(model)
    exported = export_model(model, folder, size=queries.shape[-1])
    onnx = OnnxSegmenter(exported, threads=torch.get_num_threads())
    encoded, encoded_fast, encoded_onnx = (way.encode_prompt(prompt) for way in (model, fast, onnx))
    return {
        "plain": lambda: plain(model, queries, prompts),
        "PyTorch": lambda: model.segment(queries, encoded),
        "fast copy": lambda: fast.segment(queries, encoded_fast),
        "ONNX Runtime": lambda: onnx.segment(queries, encoded_onnx),
    }


def compare(model: MetaUAS, *, size: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of every contestant, after a check that their maps agree."""
    generator = torch.Generator().manual_seed(0)
    queries = torch.rand(batch, 3, size, size, generator=generator)
    prompt = torch.rand(1, 3, size, size, generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        calls = contestants(model, queries, prompt, folder=Path(folder))
        maps = {name: torch.as_tensor(call()) for name, call in calls.items()}
        for name, found in maps.items():
            torch.testing.assert_close(found, maps["plain"], atol=AGREEMENT, rtol=0, msg=f"{name} makes other maps")
        return in_turns({name: wall(call, unit=1e-3) for name, call in calls.items()}, rounds=rounds)


def main(
    size: int = 256, batch: int = 1, rounds: int = 9, threads: int = 2, b4: bool = True, out: Path | None = None
) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    networks = {"lite": load_checkpoint("lite")}
    if b4:
        networks["b4"] = create_model("b4", encoder_weights="random").eval()
    rows = []
    for network, model in networks.items():
        found = compare(model, size=size, batch=batch, rounds=rounds)
        for name in list(found)[1:]:
            what = f"{network}, {batch} × {size} px, prompt cached: {name}"
            goals = GOALS.get(name, {}) if (network, size, batch) == ("lite", 256, 1) else {}
            rows.append(Row(what=what, unit="ms", ours=found[name], against="plain", reference=found["plain"], **goals))
    report(rows, out=out)


if __name__ == "__main__":
    typer.run(main)

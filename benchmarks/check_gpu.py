"""Everything that has to hold on a GPU, in one run of at most six minutes: `make check-gpu`.

Maps on the GPU against those on the CPU, latency of a query, the training step of params/paper-256.yaml, the loader,
and a short training on both devices. Needs no network: weights are the released ones or random. The figures, with card
and versions, go to one JSON file. Without a CUDA device it says so and ends; ``--device cpu`` runs every part at its
smallest, to test the script itself.

    python benchmarks/check_gpu.py [--device cuda] [--out benchmarks/results]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metauas.ablations.notebooks import find_notebooks
from metauas.ablations.parameters import read_for_notebooks
from metauas.files import write_json
from metauas.model import MetaUAS, create_model, load_checkpoint
from metauas.synthesis import PairBatch, pair_loader
from metauas.train import TrainSettings, training_pairs
from metauas.train.learner import Learner
from metauas.train.processes import new_accelerator

PAPER = Path(__file__).parents[1] / "params" / "paper-256.yaml"
AGREEMENT = 1e-4  # largest difference of maps between GPU and CPU in float32


@dataclass(frozen=True)
class Extent:
    """How large the parts are: on a GPU as in the paper, elsewhere as small as they go."""

    sizes: tuple[int, ...]
    batch: int
    rounds: int
    workers: int
    steps: int

    @classmethod
    def of(cls, device: torch.device) -> "Extent":
        """Return the paper's sizes for a GPU, the smallest ones otherwise."""
        if device.type == "cuda":
            return cls(sizes=(256, 512), batch=128, rounds=20, workers=16, steps=60)
        return cls(sizes=(64,), batch=2, rounds=2, workers=0, steps=2)


def networks() -> dict[str, MetaUAS]:
    torch.manual_seed(0)
    return {"lite": load_checkpoint("lite"), "b4": create_model("b4", encoder_weights="random").eval()}


def seconds(call: Callable[[], Any], *, device: torch.device, rounds: int) -> float:
    """Return the median seconds of a call that has been made three times before."""
    for _ in range(3):
        call()
    found = []
    for _ in range(rounds):
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        found.append(time.perf_counter() - start)
    return sorted(found)[len(found) // 2]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def check_maps(device: torch.device, extent: Extent) -> dict[str, float]:
    """Return the largest differences between the maps of both devices, in float32 and in bfloat16.

    Raises:
        AssertionError: float32 differs by more than ``AGREEMENT``.
    """
    found = {}
    size = extent.sizes[0]
    query, prompt = torch.rand(2, 3, size, size), torch.rand(1, 3, size, size)
    for name, network in networks().items():
        expected = network.segment(query, prompt)
        moved = network.to(device)
        ours = moved.segment(query.to(device), prompt.to(device)).cpu()
        half = moved.bfloat16().segment(query.to(device), prompt.to(device)).cpu()
        found[f"{name}, float32"] = (ours - expected).abs().max().item()
        found[f"{name}, bfloat16"] = (half - expected).abs().max().item()
        assert found[f"{name}, float32"] <= AGREEMENT, f"{name} on {device} differs from the CPU: {found}"
    return found


def check_latency(device: torch.device, extent: Extent) -> dict[str, float]:
    """Return milliseconds of one query with the prompt cached: eager, and compiled with CUDA graphs."""
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    found = {}
    for size in extent.sizes:
        query, prompt = (torch.rand(1, 3, size, size, device=device) for _ in range(2))
        for name, network in networks().items():
            moved = network.to(device, kind).to(memory_format=torch.channels_last)
            encoded = moved.encode_prompt(prompt)
            calls = {"eager": lambda: moved.segment(query, encoded)}  # noqa: B023
            if device.type == "cuda":
                graphs = torch.compile(moved.logits, mode="reduce-overhead")  # CUDA graphs
                calls["compiled, CUDA graphs"] = lambda: _maps(graphs, query, encoded)  # noqa: B023
            for way, call in calls.items():
                found[f"{name}, {size} px, {way}"] = 1000 * seconds(call, device=device, rounds=extent.rounds)
    return found


@torch.no_grad()
def _maps(logits: Callable[..., Tensor], query: Tensor, encoded: Any) -> Tensor:
    return logits(query, encoded).sigmoid()


def paper_settings(device: torch.device, extent: Extent, **execution: Any) -> TrainSettings:
    """Return the settings of params/paper-256.yaml, with random weights and this device's extent."""
    given = read_for_notebooks(PAPER, find_notebooks())["03_train"]
    given = {key: value for key, value in given.items() if key in TrainSettings.model_fields}
    precision = "bf16" if device.type == "cuda" else "no"
    given |= {
        "network": {"preset": "b4", "encoder_weights": "random"},
        "size": extent.sizes[0],
        "batch_size": extent.batch,
    }
    given["execution"] = {"workers": extent.workers, "mixed_precision": precision, **execution}
    return TrainSettings.parse(given, origin=PAPER.name)


def check_training_step(device: torch.device, extent: Extent) -> dict[str, float]:
    """Return pairs a second of the paper's training step, with pairs that are on the device already."""
    found = {}
    for compiled in (False, True) if device.type == "cuda" else (False,):
        settings = paper_settings(device, extent, torch_compile=compiled)
        accelerator = new_accelerator(settings)
        learner = Learner(MetaUAS(settings.network_config), settings, accelerator=accelerator)
        batch = random_batch(extent).to(accelerator.device)
        taken = seconds(lambda: learner.step([batch], step=0), device=device, rounds=extent.rounds)  # noqa: B023
        found["compiled" if compiled else "eager"] = extent.batch / taken
    return found


def random_batch(extent: Extent) -> PairBatch:
    """Return pairs of noise, one sixteenth of each marked as changed."""
    shape = (extent.batch, 3, extent.sizes[0], extent.sizes[0])
    mask = torch.zeros(extent.batch, 1, *shape[2:])
    mask[..., : shape[2] // 4, : shape[3] // 4] = 1
    return PairBatch(query=torch.rand(shape), prompt=torch.rand(shape), mask=mask, kinds=("local",) * extent.batch)


def check_loader(device: torch.device, extent: Extent) -> dict[str, float]:
    """Return pairs a second that the loader draws by the paper's recipe, with as many workers as the extent has."""
    settings = paper_settings(device, extent)
    loader = iter(pair_loader(training_pairs(settings), batch_size=extent.batch, workers=extent.workers))
    next(loader)  # workers start
    start = time.perf_counter()
    next(loader)
    return {"pairs a second": extent.batch / (time.perf_counter() - start), "workers": float(extent.workers)}


def check_short_training(device: torch.device, extent: Extent) -> dict[str, float]:
    """Return the held-out P-AUROC after the same short training of lite on both devices."""
    found = {}
    for place in dict.fromkeys(("cpu", device.type)):
        with tempfile.TemporaryDirectory() as folder:
            params = Path(folder) / "short.yaml"
            validation = f"validation: {{pairs: 16, every: {extent.steps}}}"
            params.write_text(f"size: 64\nsteps: {extent.steps}\nbatch_size: 8\nseed: 1\n{validation}\n")
            command = [sys.executable, "-m", "metauas", "train", "--params", str(params), "--out", folder]
            only_cpu = {"ACCELERATE_USE_CPU": "true"} if place == "cpu" else {}
            subprocess.run(command, check=True, env=os.environ | only_cpu)
            found[place] = float(json.loads((Path(folder) / "metrics.json").read_text())["P-AUROC"])
    return found


CHECKS = {
    "largest difference of maps from the CPU's": check_maps,
    "milliseconds of a query, prompt cached": check_latency,
    "training pairs a second (paper-256)": check_training_step,
    "pairs a second that the loader draws (paper-256)": check_loader,
    "held-out P-AUROC of a short training": check_short_training,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing checked")
        return
    device = torch.device(given.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    figures: dict[str, Any] = {"card": card, "torch": torch.__version__, "cuda": torch.version.cuda}
    for name, check in CHECKS.items():
        start = time.perf_counter()
        figures[name] = check(device, Extent.of(device))
        print(f"{name}: {figures[name]}  ({time.perf_counter() - start:.0f} s)", flush=True)
    file = write_json(given.out / f"gpu-{card.lower().replace(' ', '-')}.json", figures)
    print(f"written: {file}")


if __name__ == "__main__":
    main()

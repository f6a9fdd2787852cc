"""How many pairs a second a training step of b4 takes in, against a plain step; and the loader's share of the time.

The plain step encodes query and prompt in two passes with gradients enabled through the frozen encoder, in float32 and
NCHW. Ours is that of ``metauas.train``: the encoder without a gradient, and channels last on a GPU. Both take the same
pairs, learn the same weights, and are timed in turns in one process; the ratio is that of the medians.

    python benchmarks/train.py [--size 256] [--batch 4] [--rounds 5] [--threads 2] [--workers 1] [--precision no]
"""

import argparse
import time
from collections.abc import Callable

import torch
from common import medians, print_table
from torch import Tensor
from torch.nn import functional as F

from metauas.model import MetaUAS
from metauas.synthesis import PairBatch
from metauas.train import TrainSettings, training_pairs
from metauas.train.data import step_batches
from metauas.train.learner import Learner
from metauas.train.processes import new_accelerator
from metauas.train.settings import Execution


def plain_logits(model: MetaUAS, query: Tensor, prompt: Tensor) -> Tensor:
    """Return the map before the sigmoid, every operation recorded for a gradient."""
    features, prompt_features = (model.encoder(model.normalise(images)) for images in (query, prompt))
    first = len(features) - len(model.alignments)
    for stage, align in enumerate(model.alignments, start=first):
        aligned = align(features[stage], prompt_features[stage])
        features[stage] = model.fusion(features[stage], aligned, prompt_features[stage])
    return model.decoder(features)


def plain_step(settings: TrainSettings) -> Callable[[PairBatch], float]:
    """Return a step as one writes it first: the encoder's weights are just not given to the optimiser."""
    torch.manual_seed(settings.seed)
    model = MetaUAS(settings.network_config).train()
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    model.encoder.requires_grad_()
    optimizer = torch.optim.AdamW(learning, lr=settings.learning_rate, weight_decay=settings.weight_decay)

    def step(batch: PairBatch) -> float:
        model.zero_grad()
        loss = F.binary_cross_entropy_with_logits(plain_logits(model, batch.query, batch.prompt), batch.mask)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        return loss.item()

    return step


def our_step(settings: TrainSettings) -> Callable[[PairBatch], float]:
    """Return the step of ``metauas train``."""
    accelerator = new_accelerator(settings)
    torch.manual_seed(settings.seed)
    learner = Learner(MetaUAS(settings.network_config), settings, accelerator=accelerator)
    return lambda batch: learner.step([batch], step=0)


def compare(settings: TrainSettings, *, rounds: int) -> list[dict[str, object]]:
    """Return one row a step: seconds, pairs a second, ratio to the plain step, and the first two losses."""
    ((batch,),) = step_batches(training_pairs(settings), settings, start=0, process=0, processes=1)
    steps = {"plain": plain_step(settings), "ours": our_step(settings)}
    losses = {name: [step(batch), step(batch)] for name, step in steps.items()}
    seconds = medians({name: lambda step=step: step(batch) for name, step in steps.items()}, rounds=rounds)
    return [
        {
            "step": name,
            "seconds": seconds[name],
            "pairs a second": settings.batch_size / seconds[name],
            "times faster": seconds["plain"] / seconds[name],
            "first loss": losses[name][0],
            "second loss": losses[name][1],
        }
        for name in steps
    ]


def loader_share(settings: TrainSettings, *, steps: int) -> dict[str, object]:
    """Return how much of the time of ``steps`` steps goes by in waiting for pairs."""
    step = our_step(settings)
    waited = worked = 0.0
    batches = step_batches(training_pairs(settings), settings, start=0, process=0, processes=1)
    next(batches)  # workers start, and each cuts the photographs once
    for _ in range(steps):
        start = time.perf_counter()
        (batch,) = next(batches)
        ready = time.perf_counter()
        step(batch)
        waited, worked = waited + ready - start, worked + time.perf_counter() - ready
    total = waited + worked
    return {
        "workers": settings.execution.workers,
        "seconds a step": total / steps,
        "share spent waiting": waited / total,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--precision", default="no", help="of our step: no, bf16 or fp16")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = TrainSettings(
        network={"preset": "b4", "encoder_weights": "random"},
        size=given.size,
        steps=1,
        batch_size=given.batch,
        learning_rate=1e-4,
        weight_decay=5e-4,
        schedule="constant",
        execution=Execution(mixed_precision=given.precision),
    )
    title = f"b4, {given.size} px, batch {given.batch}, {given.threads} threads; ours in precision {given.precision!r}"
    print_table(compare(settings, rounds=given.rounds), title=title)
    changes = [{"workers": n, "mixed_precision": given.precision} for n in given.workers]
    rows = [
        loader_share(
            settings.model_copy(update={"steps": given.rounds + 1, "execution": Execution(**change)}),
            steps=given.rounds,
        )
        for change in changes
    ]
    print_table(rows, title="The loader, pairs drawn on the fly")


if __name__ == "__main__":
    main()

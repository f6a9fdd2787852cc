"""A training step against a plain one, and a step that leaves a core to the loader's worker.

The plain step encodes query and prompt in two passes with gradients enabled through the frozen encoder. Ours is that of
``metauas.train``: the encoder without a gradient. Both take the same pairs and learn the same weights.

    python benchmarks/train.py [--rounds 5] [--threads 2]
"""

from collections.abc import Callable
from pathlib import Path

import torch
import typer
from common import Row, in_turns, report, wall
from torch import Tensor
from torch.nn import functional as F

from metauas.machine import cores_left
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


def against_plain(settings: TrainSettings, *, rounds: int) -> Row:
    """Compare our step to the plain one on the same pairs, after a check that they learn the same."""
    ((batch,),) = step_batches(training_pairs(settings), settings, start=0, process=0, processes=1)
    steps = {"plain": plain_step(settings), "ours": our_step(settings)}
    losses = {name: [step(batch), step(batch)] for name, step in steps.items()}
    torch.testing.assert_close(losses["ours"], losses["plain"], atol=1e-4, rtol=0)
    seconds = in_turns({name: wall(lambda step=step: step(batch)) for name, step in steps.items()}, rounds=rounds)
    what = f"training step of b4, {settings.batch_size} pairs of {settings.size} px"
    return Row(what=what, unit="s", ours=seconds["ours"], against="plain", reference=seconds["plain"])


def beside_a_worker(settings: TrainSettings, *, rounds: int) -> Row:
    """Compare steps that leave a core to the loader's worker to steps with a thread on every core."""
    step, waiting = (
        our_step(settings),
        step_batches(training_pairs(settings), settings, start=0, process=0, processes=1),
    )
    step(*next(waiting))  # the worker has started, and has cut the photographs once

    def left() -> None:
        with cores_left(busy=settings.execution.workers):
            step(*next(waiting))

    calls = {"all cores": wall(lambda: step(*next(waiting))), "ours": wall(left)}
    seconds = in_turns(calls, rounds=rounds)
    what = f"training step of lite next to a loader worker, {settings.batch_size} pairs of {settings.size} px"
    return Row(what=what, unit="s", ours=seconds["ours"], against="all cores", reference=seconds["all cores"])


def main(rounds: int = 5, threads: int = 2, out: Path | None = None) -> None:
    torch.set_num_threads(threads)
    common = {"schedule": "constant", "learning_rate": 1e-4, "weight_decay": 5e-4}
    b4 = TrainSettings(network={"preset": "b4", "encoder_weights": "random"}, size=256, steps=1, batch_size=2, **common)
    lite = TrainSettings(
        recipe="goods", size=128, batch_size=16, steps=2 * rounds + 1, execution=Execution(workers=1), **common
    )
    report([against_plain(b4, rounds=rounds), beside_a_worker(lite, rounds=rounds)], out=out)


if __name__ == "__main__":
    typer.run(main)

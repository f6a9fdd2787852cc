"""The training loop: pixel-wise BCE on change pairs (paper, section 3.3 and equation 5)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset
from tqdm import tqdm  # tqdm.auto ignores TQDM_DISABLE in notebooks

from metauas.errors import InputError
from metauas.files import write_json, write_text
from metauas.model import MetaUAS, save_checkpoint
from metauas.seeding import seed_everything
from metauas.synthesis import PairBatch, PairDataset, embedded_synthesizer, pair_loader
from metauas.synthesis.variation import Variation
from metauas.train.settings import TrainSettings
from metauas.train.state import STATE_NAME, Progress, load_progress, save_state
from metauas.train.validation import validate

_PRIOR = 0.04  # share of changed pixels, so that the first steps are not spent on learning it
_LOG_EVERY = 10  # steps between rows of the training loss


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves: the network in evaluation mode, its checkpoint folder and its learning curves."""

    model: MetaUAS
    checkpoint: Path
    history: pd.DataFrame


class ChangeLoss(nn.Module):
    """The network with its loss, so that distributed wrappers see one forward call."""

    def __init__(self, model: MetaUAS) -> None:
        super().__init__()
        self.model = model

    def forward(self, query: Tensor, prompt: Tensor, mask: Tensor) -> Tensor:
        """Return the mean binary cross-entropy over all pixels."""
        return F.binary_cross_entropy_with_logits(self.model.logits(query, prompt).float(), mask)


def train(settings: TrainSettings, *, out: str | Path, resume: bool = True) -> TrainResult:
    """Train a network and leave ``checkpoint/``, ``history.csv``, ``settings.json`` and ``metrics.json`` in ``out``.

    A run that was broken off continues where its state was last saved, and ends as the unbroken run would have.

    Args:
        settings: everything that makes up the run.
        out: folder of the run.
        resume: continue a broken run found in ``out``; otherwise start anew.

    Raises:
        InputError: ``out`` holds a run with other settings, or the settings cannot be used.
        FloatingPointError: the loss is no longer a number; names the step.
    """
    folder = Path(out)
    accelerator = new_accelerator(settings)
    seed_everything(settings.seed)
    model = new_model(settings)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    progress = Progress(step=0, history=[])
    if resume:
        progress = load_progress(folder, model=model, optimizer=optimizer, settings=settings)
    run = _Run(settings=settings, folder=folder, accelerator=accelerator, model=model, optimizer=optimizer)
    if not resume:
        (folder / STATE_NAME).unlink(missing_ok=True)
    write_json(folder / "settings.json", settings.model_dump())
    run.go(progress)
    history = pd.DataFrame(progress.history)
    if accelerator.is_main_process:  # each process has its own loss and batch statistics
        save_checkpoint(model, folder / "checkpoint")
        write_text(folder / "history.csv", history.to_csv(index=False))
        write_json(folder / "metrics.json", final_metrics(history))
    return TrainResult(model=model.eval(), checkpoint=folder / "checkpoint", history=history)


def new_accelerator(settings: TrainSettings) -> Accelerator:
    """Find the devices; another run of this process may have had another precision.

    Raises:
        InputError: the processes cannot share the batch evenly.
    """
    AcceleratorState._reset_state()  # Accelerate keeps one for the whole process and refuses to change it
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    if settings.batch_size % accelerator.num_processes:
        raise InputError(
            f"batch_size={settings.batch_size} cannot be shared by {accelerator.num_processes} processes; "
            "give a multiple"
        )
    return accelerator


def new_model(settings: TrainSettings) -> MetaUAS:
    """Create the run's network, its output starting at the share of changed pixels."""
    model = MetaUAS(settings.network())
    nn.init.constant_(model.decoder.head.bias, math.log(_PRIOR / (1 - _PRIOR)))  # type: ignore[arg-type]
    return model.to(memory_format=torch.channels_last)


def training_pairs(settings: TrainSettings, *, split: str = "train") -> PairDataset:
    """Return the pairs of a run: enough for all steps, or its held-out ones.

    Raises:
        InputError: the folder of photographs is missing or empty.
    """
    synthesize = embedded_synthesizer(
        size=settings.size,
        split=split,
        kinds=settings.kinds,
        variation=Variation(rotation=settings.rotation, shift=settings.shift),
        photographs=settings.photographs,
    )
    if split == "validation":
        return PairDataset(synthesize, length=settings.validation_pairs, seed=settings.seed, split=split)
    length = settings.steps * settings.batch_size
    return PairDataset(synthesize, length=length, seed=settings.seed, split=split, distinct=settings.distinct_pairs)


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Return the learning rate at ``step``, a function of the step alone so that resuming needs no state."""
    if settings.schedule == "constant":
        return settings.learning_rate
    warm_up = max(1, round(0.15 * settings.steps))
    if step < warm_up:
        return settings.learning_rate * (0.05 + 0.95 * (step + 1) / warm_up)
    done = (step - warm_up) / max(1, settings.steps - warm_up)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def final_metrics(history: pd.DataFrame) -> dict[str, Any]:
    """Return the last row with a validation, as plain numbers."""
    rows = history.dropna(subset=["validation loss"])
    return {str(name): value for name, value in rows.to_dict("records")[-1].items()}


class _Run:
    """One run in progress."""

    def __init__(
        self,
        *,
        settings: TrainSettings,
        folder: Path,
        accelerator: Accelerator,
        model: MetaUAS,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.settings, self.folder, self.accelerator = settings, folder, accelerator
        self.pairs, self.held_out = (training_pairs(settings, split=split) for split in ("train", "validation"))
        self.model = model
        self.loss, self.optimizer = accelerator.prepare(ChangeLoss(model), optimizer)
        self.device = accelerator.device

    def go(self, progress: Progress) -> None:
        """Take the remaining steps, validating and saving as the settings say."""
        validation = list(pair_loader(self.held_out, batch_size=self.settings.batch_size))
        self.model.train()
        steps = range(progress.step, self.settings.steps)
        bar = tqdm(steps, initial=progress.step, total=self.settings.steps, unit="step", desc="training")
        recent: list[float] = []
        for step, batch in zip(bar, self._batches(start=progress.step), strict=True):
            recent.append(self._step(batch, step=step))
            ends = step + 1 == self.settings.steps
            validates = (step + 1) % self.settings.validate_every == 0 or ends
            if validates or (step + 1) % _LOG_EVERY == 0:
                row = {"step": step + 1, "loss": sum(recent) / len(recent)}
                recent = []
                if validates:
                    row |= validate(self.model, validation, device=self.device)
                progress.history.append(row)
                bar.set_postfix({"loss": f"{row['loss']:.3f}"})
            progress.step = step + 1
            if validates:
                self._save(progress)

    def _batches(self, *, start: int) -> Iterator[PairBatch]:
        """Yield this process's share of each step's pairs."""
        size, processes = self.settings.batch_size, self.accelerator.num_processes
        own = range(start * size + self.accelerator.process_index, len(self.pairs), processes)
        yield from pair_loader(Subset(self.pairs, own), batch_size=size // processes, workers=self.settings.workers)

    def _step(self, batch: PairBatch, *, step: int) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, step)
        moved = batch.to(self.device)
        with self.accelerator.autocast():
            loss = self.loss(moved.query, moved.prompt, moved.mask)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step + 1}; lower learning_rate")
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.loss.parameters(), 1.0)
        self.optimizer.step()
        return value

    def _save(self, progress: Progress) -> None:
        if self.accelerator.is_main_process:
            optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
            save_state(self.folder, model=self.model, optimizer=optimizer, progress=progress, settings=self.settings)

"""The training loop: pixel-wise BCE on change pairs (paper, section 3.3 and equation 5)."""

import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate.utils import gather_object
from safetensors import SafetensorError
from torch.utils.data import Subset

from metauas.errors import OutputError
from metauas.files import write_json, write_text
from metauas.files.contents import contents_of, flat
from metauas.files.locks import alone_in
from metauas.machine import cores_left
from metauas.model import MetaUAS, load_checkpoint, save_checkpoint
from metauas.progress import tqdm
from metauas.seeding import seed_everything
from metauas.synthesis import pair_loader
from metauas.train.data import step_batches, training_pairs
from metauas.train.learner import Learner, new_model
from metauas.train.processes import new_accelerator
from metauas.train.record import begin_record, end_record
from metauas.train.settings import TrainSettings
from metauas.train.state import (
    BATCH_NAMES,
    STATE_NAME,
    Progress,
    batch_name,
    load_progress,
    rescued,
    save_state,
)
from metauas.train.validation import (
    MAP_FILES,
    changed_pairs,
    count,
    is_exhausted,
    kept_row,
    maps_of,
    merge_tallies,
    write_maps,
)

_LOG_EVERY = 10  # steps between rows of the training loss
_SHOWN = 8  # held-out pairs whose maps are saved at every validation


@dataclass(frozen=True)
class TrainResult:
    """The result of a run: the network of its checkpoint in evaluation mode, that folder, and the learning curves."""

    model: MetaUAS
    checkpoint: Path
    history: pd.DataFrame


def train(settings: TrainSettings, *, out: str | Path, resume: bool = True) -> TrainResult:
    """Train a network and write it, its learning curves and the record of the run into ``out``.

    ``checkpoint/`` is the network of the last or the best validation (``settings.validation.keep``), and
    ``metrics.json`` holds its metrics. ``history.csv`` holds the learning curves, ``maps/`` the maps of some held-out
    pairs at each validation, ``settings.json`` and ``run.json`` the record, ``training.safetensors`` the state.

    An interrupted run continues from its last saved state and ends like an uninterrupted one. Under ``accelerate
    launch`` or torchrun all processes share every step, and ``out`` must be the same folder for all.

    Args:
        settings: all settings of the run.
        out: folder of the run.
        resume: continue an interrupted run found in ``out``; otherwise start again.

    Raises:
        InputError: ``out`` holds a run with other settings, another run is writing into it, the settings cannot be
            used, or memory runs out.
        FloatingPointError: the loss is no longer a number; names the step, whose pairs are kept in ``out``.
        SavingError: the disk is full or cannot be written to; the previous state is intact.
    """
    folder = Path(out)
    run = _Run(settings, folder=folder)
    with alone_in(folder) if run.is_main else nullcontext(), cores_left(busy=settings.execution.workers):
        progress = run.begin(resume=resume)
        run.go(progress)
        run.end(progress)
    model = load_checkpoint(folder / "checkpoint").to(run.accelerator.device)
    return TrainResult(model=model, checkpoint=folder / "checkpoint", history=pd.DataFrame(progress.history))


class SavingError(OutputError):
    """A run could not be saved; the previous state is intact."""


class _Run:
    """One run in progress; each process has its own, and the main one writes."""

    def __init__(self, settings: TrainSettings, *, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.accelerator = new_accelerator(settings, folder=folder)
        self.is_main = self.accelerator.is_main_process
        self.process, self.processes = self.accelerator.process_index, self.accelerator.num_processes
        self.pairs = training_pairs(settings)
        own = range(self.process, settings.validation.pairs, self.processes)
        held_out = training_pairs(settings, split="validation")
        self.shown = changed_pairs(held_out, count=_SHOWN) if self.is_main else []
        self.held_out = pair_loader(
            Subset(held_out, own),  # type: ignore[arg-type]
            # as many at once as a part of a step, for which there is memory
            batch_size=max(1, settings.batch_size // (self.processes * settings.execution.accumulate)),
            workers=settings.execution.workers,
        )
        seed_everything(settings.seed)
        self.learner = Learner(new_model(settings), settings, accelerator=self.accelerator)

    def begin(self, *, resume: bool) -> Progress:
        """Return the progress of the run, and write its settings and record."""
        if resume:
            progress = load_progress(self.folder, self.learner)
        else:
            progress = Progress(contents=contents_of(self.settings.model_dump()))
        if self.is_main:
            if not resume:
                self._remove_results()
            write_json(self.folder / "settings.json", self.settings.model_dump())
            begin_record(self.folder, self.settings, accelerator=self.accelerator, progress=progress)
        about = flat(self.settings.model_dump()).items()
        config = {name: value if isinstance(value, int | float) else str(value) for name, value in about}
        self.accelerator.init_trackers("metauas", config=config)
        return progress

    def _remove_results(self) -> None:
        """Remove the results of another run, which would pass for this one's until its first validation."""
        for name in (STATE_NAME, "metrics.json", "history.csv", BATCH_NAMES, MAP_FILES):
            for file in self.folder.glob(name):
                file.unlink(missing_ok=True)
        start = self.settings.init_from
        if start is None or not Path(start).resolve().is_relative_to(self.folder.resolve()):  # else it is still needed
            shutil.rmtree(self.folder / "checkpoint", ignore_errors=True)

    def go(self, progress: Progress) -> None:
        """Take the remaining steps, validating and saving as the settings say."""
        if is_exhausted(progress.history, patience=self.settings.validation.patience):
            return
        steps = range(progress.step, self.settings.steps)
        mine = {"process": self.process, "processes": self.processes}
        batches = step_batches(self.pairs, self.settings, start=progress.step, **mine)
        quiet: dict[str, Any] = {} if self.is_main else {"disable": True}  # TQDM_DISABLE decides otherwise
        bar = tqdm(steps, initial=progress.step, total=self.settings.steps, unit="step", desc="training", **quiet)
        for step, parts in zip(bar, batches, strict=True):
            with rescued(parts, file=self.folder / batch_name(**mine), step=step):
                progress.recent.append(self.learner.step(parts, step=step))
            progress.step = step + 1
            validates = progress.step % self.settings.validation.every == 0 or progress.step == self.settings.steps
            if validates or progress.step % _LOG_EVERY == 0:
                row = self._log(progress, validates=validates)
                bar.set_postfix({"loss": f"{row['loss']:.3f}"})
            if validates or progress.step % (self.settings.execution.save_every or self.settings.validation.every) == 0:
                self._save(progress, validated=validates)
            if validates and is_exhausted(progress.history, patience=self.settings.validation.patience):
                break

    def end(self, progress: Progress) -> None:
        """Write which network was kept, and its metrics."""
        kept = kept_row(progress.history, keep=self.settings.validation.keep)
        if self.is_main and kept is not None:
            write_json(self.folder / "metrics.json", dict(kept))
            end_record(self.folder, kept=kept, keep=self.settings.validation.keep)
        for tracker in self.accelerator.trackers:
            tracker.finish()
        self.accelerator.wait_for_everyone()

    def _log(self, progress: Progress, *, validates: bool) -> dict[str, Any]:
        """Add a row to the curves."""
        row: dict[str, Any] = {"step": progress.step, "loss": sum(progress.recent) / len(progress.recent)}
        progress.recent = []
        if validates:
            tally = count(self.learner.shown, self.held_out, device=self.accelerator.device)
            row |= merge_tallies(gather_object([tally])).result()
        progress.history.append(row)
        self.accelerator.log({name: value for name, value in row.items() if name != "step"}, step=progress.step)
        return row

    def _save(self, progress: Progress, *, validated: bool) -> None:
        """Save the checkpoint first, so that the state is never ahead of it."""
        if not self.is_main:
            return
        try:
            if validated:
                history = pd.DataFrame(progress.history).to_csv(index=False, lineterminator="\n")
                write_text(self.folder / "history.csv", history)
                network = self.learner.shown
                if self.shown:
                    write_maps(self.folder, maps_of(network, self.shown), step=progress.step)
                if kept_row(progress.history, keep=self.settings.validation.keep) is progress.history[-1]:
                    save_checkpoint(network, self.folder / "checkpoint")
            save_state(self.folder, self.learner, progress)
        except (OSError, SafetensorError) as error:
            raise SavingError(
                f"step {progress.step} could not be saved in {self.folder}: {error}; the previous state is intact: "
                "make room, and the same command continues from there"
            ) from error

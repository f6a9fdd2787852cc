"""What a run leaves for later: its state between two steps, and the pairs of a step that failed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metauas.errors import InputError
from metauas.files.contents import contents_of, flat
from metauas.machine import is_out_of_memory
from metauas.model.weights.tensor_files import load_state, read_tensors, write_tensors
from metauas.synthesis import PairBatch
from metauas.train.learner import Learner
from metauas.train.settings import TrainSettings

STATE_NAME = "training.safetensors"
BATCH_NAMES = "failed-batch*.safetensors"
#: Settings that may change when a run is continued.
_CHANGES_NOTHING = ("execution.workers", "execution.tracker", "execution.save_every")


@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        step: steps done.
        history: rows of the learning curves.
        recent: losses of the steps since the last row.
        contents: hashes of the files that the settings name, at the start of the run (``contents_of``).
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)


def save_state(folder: str | Path, learner: Learner, progress: Progress) -> None:
    """Write weights, their average, optimiser, float16 gradient scaler and progress into ``folder``, atomically.

    Data order, learning rate and random numbers are functions of the step and need no state.
    """
    scaler = learner.accelerator.scaler
    tensors = {f"model.{name}": tensor for name, tensor in learner.model.state_dict().items()}
    if learner.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in learner.average.module.state_dict().items()}
    for index, slots in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    header = {
        "step": progress.step,
        "history": progress.history,
        "recent": progress.recent,
        "settings": learner.settings.model_dump(),
        "contents": progress.contents,
        "scaler": scaler.state_dict() if scaler is not None else None,
    }
    write_tensors(Path(folder) / STATE_NAME, tensors, header=header)


def load_progress(folder: str | Path, learner: Learner) -> Progress:
    """Load the state in ``folder`` into the learner and return the progress; step 0 without a state.

    Raises:
        InputError: the state belongs to a run with other settings, or a file that they name has changed.
    """
    path, contents = Path(folder) / STATE_NAME, contents_of(learner.settings.model_dump())
    scaler = learner.accelerator.scaler
    if not path.exists():
        return Progress(contents=contents)
    header, tensors = read_tensors(path)
    _check_same(header, learner.settings, contents, path=path)
    load_state(learner.model, _part(tensors, "model."), origin=str(path))
    if learner.average is not None:
        load_state(learner.average.module, _part(tensors, "average."), origin=str(path))
    if scaler is not None and header.get("scaler"):
        scaler.load_state_dict(header["scaler"])
    learner.optimizer.load_state_dict(learner.optimizer.state_dict() | {"state": _slots(tensors)})
    history, recent = list(header["history"]), list(header.get("recent", ()))
    return Progress(step=int(header["step"]), history=history, recent=recent, contents=contents)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _slots(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimizer.").items():
        index, slot = name.split(".")
        slots.setdefault(int(index), {})[slot] = tensor
    return slots


def _check_same(header: Mapping[str, Any], settings: TrainSettings, contents: Mapping[str, str], *, path: Path) -> None:
    """Refuse settings that differ from the saved ones and affect the result, and files that were changed since."""
    now = flat(settings.model_dump(mode="json"))
    # settings that the saved run did not have yet had their defaults
    before = flat(TrainSettings().model_dump(mode="json")) | flat(header["settings"])
    differ = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in before | now
        if name not in _CHANGES_NOTHING and before.get(name) != now.get(name)
    ]
    if differ:
        further = f"init_from={path.parent / 'checkpoint'} with another output folder to train on from its weights, "
        raise InputError(
            f"{path} belongs to a run with other settings: {'; '.join(differ)}; "
            f"give the same settings, {further}or resume=False to start again"
        )
    for name, digest in header.get("contents", {}).items():
        if contents.get(name, digest) != digest:
            raise InputError(
                f"{path} belongs to a run whose {name}, {now[name]}, was changed since; restore the file, "
                "give another output folder, or resume=False to start again"
            )


def batch_name(*, process: int, processes: int) -> str:
    """Return the name of the file for one process's share of a failed step."""
    return BATCH_NAMES.replace("*", f"-{process}" if processes > 1 else "")


@contextmanager
def rescued(parts: Sequence[PairBatch], *, file: Path, step: int) -> Iterator[None]:
    """Write ``parts`` to ``file`` if the loss of the step in the block is not a number.

    The file holds query, prompt (B, 3, H, W) and mask (B, 1, H, W), and in its header the step and the kinds.

    Args:
        parts: this process's pairs of the step.
        file: in the run's folder.
        step: number of steps before this one.

    Raises:
        FloatingPointError: the step's own, with the name of the file.
        InputError: memory has run out; names the settings to lower.
    """
    try:
        yield
    except FloatingPointError as error:
        tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("query", "prompt", "mask")}
        kinds = [kind for part in parts for kind in part.kinds]
        write_tensors(file, tensors, header={"step": step + 1, "kinds": kinds})
        raise FloatingPointError(f"{error}; the pairs of this step are in {file}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0] or "MemoryError"
        raise InputError(f"out of memory at step {step + 1} ({reason}); lower batch_size, or size") from error

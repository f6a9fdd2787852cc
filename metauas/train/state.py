"""The state of a run between two steps, in one file that is written atomically."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metauas.errors import InputError
from metauas.files.contents import contents_of, flat
from metauas.model.weights.tensor_files import load_state, read_tensors, write_tensors
from metauas.train.settings import TrainSettings

STATE_NAME = "training.safetensors"
_CHANGES_NOTHING = (
    "execution.workers",
    "execution.tracker",
    "execution.save_every",
)  # settings that a run may be continued without


@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        step: steps done.
        history: rows of the learning curves.
        recent: losses of the steps since the last row.
        contents: hashes of the files that the settings name, at the start of the run (``contents_of``).
    """

    step: int
    history: list[dict[str, Any]]
    recent: list[float] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)


def save_state(
    folder: str | Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    settings: TrainSettings,
    average: nn.Module | None = None,
    scaler: Any = None,
) -> None:
    """Write weights, their average, optimiser, float16 gradient scaler and progress into ``folder``, atomically.

    Data order, learning rate and random numbers are functions of the step and need no state.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    header = {
        "step": progress.step,
        "history": progress.history,
        "recent": progress.recent,
        "settings": settings.model_dump(),
        "contents": progress.contents,
        "scaler": scaler.state_dict() if scaler is not None else None,
    }
    write_tensors(Path(folder) / STATE_NAME, tensors, header=header)


def load_progress(
    folder: str | Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    average: nn.Module | None = None,
    scaler: Any = None,
) -> Progress:
    """Load the state in ``folder`` into the given objects and return the progress; step 0 without a state.

    Raises:
        InputError: the state belongs to a run with other settings, or a file that they name has changed.
    """
    path, contents = Path(folder) / STATE_NAME, contents_of(settings.model_dump())
    if not path.exists():
        return Progress(step=0, history=[], contents=contents)
    header, tensors = read_tensors(path)
    _check_same(header["settings"], settings, path=path)
    _check_contents(header.get("contents", {}), contents, settings=settings, path=path)
    load_state(model, _part(tensors, "model."), origin=str(path))
    if average is not None:
        load_state(average, _part(tensors, "average."), origin=str(path))
    if scaler is not None and header.get("scaler"):
        scaler.load_state_dict(header["scaler"])
    optimizer.load_state_dict(optimizer.state_dict() | {"state": _slots(tensors)})
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


def _check_same(saved: Mapping[str, Any], settings: TrainSettings, *, path: Path) -> None:
    """Refuse other settings than the saved ones; loader workers and the like do not change a run."""
    # settings that the saved run did not have yet had their defaults
    before = {**_flat(TrainSettings()), **flat(saved)}
    now = _flat(settings)
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


def _check_contents(saved: Mapping[str, str], now: Mapping[str, str], *, settings: TrainSettings, path: Path) -> None:
    for name in saved.keys() & now.keys():
        if saved[name] != now[name]:
            raise InputError(
                f"{path} belongs to a run whose {name}, {_flat(settings)[name]}, was changed since; restore the file, "
                "give another output folder, or resume=False to start again"
            )


def _flat(settings: TrainSettings) -> dict[str, Any]:
    return flat(json.loads(settings.model_dump_json()))

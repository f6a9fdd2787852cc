"""The state of a run between two steps, in one file that is either the old state or the new one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metauas.errors import InputError
from metauas.model.checkpoint import load_state, read_tensors, write_tensors
from metauas.train.settings import TrainSettings

STATE_NAME = "training.safetensors"


@dataclass
class Progress:
    """How far a run is: steps done, and one row of numbers for each record so far."""

    step: int
    history: list[dict[str, Any]]


def save_state(
    folder: str | Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    settings: TrainSettings,
) -> None:
    """Write weights, optimiser and progress into ``folder``, atomically.

    The data order and the learning rate are functions of the step, so nothing else is needed to go on.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    header = {"step": progress.step, "history": progress.history, "settings": settings.model_dump()}
    write_tensors(Path(folder) / STATE_NAME, tensors, header=header)


def load_progress(
    folder: str | Path, *, model: nn.Module, optimizer: torch.optim.Optimizer, settings: TrainSettings
) -> Progress:
    """Continue a run: fill ``model`` and ``optimizer`` from ``folder`` and return how far it was.

    Without a state file the run starts at step 0.

    Raises:
        InputError: the state belongs to a run with other settings; names them.
    """
    path = Path(folder) / STATE_NAME
    if not path.exists():
        return Progress(step=0, history=[])
    header, tensors = read_tensors(path)
    _check_same(header["settings"], settings, path=path)
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    load_state(model, weights, origin=str(path))
    optimizer.load_state_dict(optimizer.state_dict() | {"state": _slots(tensors)})
    return Progress(step=int(header["step"]), history=list(header["history"]))


def _slots(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, slot = name.split(".")
            slots.setdefault(int(index), {})[slot] = tensor
    return slots


def _check_same(saved: Mapping[str, Any], settings: TrainSettings, *, path: Path) -> None:
    """Loader workers do not change a run; everything else does."""
    now = json.loads(settings.model_dump_json())
    differ = [
        f"{name} was {saved.get(name)!r} and is {value!r}"
        for name, value in now.items()
        if name != "workers" and saved.get(name) != value
    ]
    if differ:
        raise InputError(
            f"{path} belongs to a run with other settings: {'; '.join(differ)}; "
            "give the same settings, another output folder, or resume=False to start anew"
        )

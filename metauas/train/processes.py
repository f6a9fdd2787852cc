"""Processes of a training run: devices, precision, and checks before they start."""

import multiprocessing
import os
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import ProjectConfiguration

from metauas.errors import InputError, check_choice
from metauas.machine import keep_freed_memory
from metauas.train.settings import TrainSettings


def new_accelerator(settings: TrainSettings, *, folder: Path | None = None) -> Accelerator:
    """Return Accelerate's view of devices and precision, without the state of an earlier run.

    A tracker writes into ``folder``.

    Raises:
        InputError: the processes cannot share the batch evenly, or the tracker cannot be used.
    """
    check_tracker(settings.execution.tracker)
    AcceleratorState._reset_state()  # Accelerate keeps one for the whole process and refuses to change it
    accelerator = Accelerator(
        # without GPUs, launched processes would each believe to be alone
        cpu="LOCAL_RANK" in os.environ and not torch.accelerator.is_available(),
        mixed_precision=settings.execution.mixed_precision,
        dynamo_backend="inductor" if settings.execution.torch_compile else "no",
        log_with=settings.execution.tracker,
        project_config=ProjectConfiguration(logging_dir=str(folder / "tracking") if folder else None),
    )
    check_shares(settings, processes=accelerator.num_processes)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


def check_shares(settings: TrainSettings, *, processes: int) -> None:
    """Raise ``InputError`` if not all processes get the same number of pairs in every part of a step."""
    if settings.batch_size % (processes * settings.execution.accumulate):
        parts = f" in {settings.execution.accumulate} parts each" if settings.execution.accumulate > 1 else ""
        raise InputError(
            f"batch_size={settings.batch_size} cannot be shared by {processes} processes{parts}; give a multiple of "
            f"{processes * settings.execution.accumulate}"
        )


def check_tracker(name: str | None) -> None:
    """Raise ``InputError`` if a tracker is not one of Accelerate's, or not installed."""
    if name is None:
        return
    check_choice(name="tracker", value=name, choices=[str(known) for known in LOGGER_TYPE_TO_CLASS])
    if name not in [str(found) for found in get_available_trackers()]:
        way = "pip install 'metauas[tensorboard]'" if name == "tensorboard" else f"pip install {name}"
        raise InputError(f"tracker={name!r} is not installed; get it with: {way}")


def check_processes(processes: int) -> None:
    """Raise ``InputError`` if this system cannot fork several processes, or has GPUs, but not one for each process."""
    if processes > 1 and "fork" not in multiprocessing.get_all_start_methods():
        raise InputError(
            f"processes={processes} needs forks, which this system does not have; give 1, or start several by "
            f"`accelerate launch --num_processes {processes} -m metauas train`"
        )
    gpus = torch.cuda.device_count()
    if processes < 1 or (gpus and processes > gpus):
        raise InputError(f"processes={processes}; give 1 to {gpus or 'the number of cores'}, one for each GPU")


def is_main_process() -> bool:
    """Whether this process is the only one, or the first of several."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def leave_processes() -> None:
    """Leave the group of processes, if there is one."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

"""Start a run on several processes of this machine, from a notebook."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pandas as pd
import torch
from accelerate import notebook_launcher
from accelerate.state import AcceleratorState
from accelerate.utils.other import get_free_port

from metauas.model import load_checkpoint
from metauas.train.data import training_pairs
from metauas.train.loop import TrainResult, train
from metauas.train.processes import check_processes, check_shares, check_tracker, leave_processes
from metauas.train.settings import TrainSettings


def launch(settings: TrainSettings, *, out: str | Path, resume: bool = True, processes: int = 1) -> TrainResult:
    """Train as ``train`` does, on one process or on several that share every step.

    For many machines start ``metauas train`` by ``accelerate launch`` or torchrun instead.

    Args:
        settings: all settings of the run.
        out: folder of the run.
        resume: as in ``train``.
        processes: of this machine, one for each GPU. More than 1 forks, which needs a fresh kernel: nothing may have
            used a GPU or trained in threads before.

    Raises:
        InputError: the settings cannot be used, or there are too few GPUs.
    """
    if processes == 1:
        return train(settings, out=out, resume=resume)
    check_processes(processes)
    check_shares(settings, processes=processes)
    check_tracker(settings.execution.tracker)
    for split in ("train", "validation"):  # one error here instead of one from every process
        training_pairs(settings, split=split)
    AcceleratorState._reset_state(reset_partial_state=True)  # an earlier run of this process was alone
    with _without_opencv_threads():
        port = str(get_free_port())
        notebook_launcher(_train, args=(settings, str(out), resume), num_processes=processes, use_port=port)
    checkpoint = Path(out) / "checkpoint"
    history = pd.read_csv(Path(out) / "history.csv")
    return TrainResult(model=load_checkpoint(checkpoint), checkpoint=checkpoint, history=history)


def _train(settings: TrainSettings, out: str, resume: bool) -> None:
    """Train in a forked process, which has lost the threads of its parent and takes one."""
    torch.set_num_threads(1)
    train(settings, out=out, resume=resume)
    leave_processes()


@contextmanager
def _without_opencv_threads() -> Iterator[None]:
    """End OpenCV's threads before a fork, as a child would wait forever for those of its parent."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)

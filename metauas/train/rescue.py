"""Errors of a training step: keep the pairs of a failed step, or name the settings to lower."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from metauas.errors import InputError
from metauas.machine import is_out_of_memory
from metauas.model.weights.tensor_files import write_tensors
from metauas.synthesis import PairBatch

BATCH_NAMES = "failed-batch*.safetensors"


def batch_name(*, process: int, processes: int) -> str:
    """Return the name of the file for one process's share of a failed step."""
    share = f"-{process}" if processes > 1 else ""
    return BATCH_NAMES.replace("*", share)


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

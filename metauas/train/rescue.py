"""What a step that fails leaves behind: the pairs it failed on, or what to lower."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from metauas.errors import InputError
from metauas.memory import is_out_of_memory
from metauas.model.weights.tensor_files import write_tensors
from metauas.synthesis import PairBatch

BATCH_NAMES = "failed-batch*.safetensors"


def batch_name(*, process: int, processes: int) -> str:
    """Return the name of the file that keeps one process's share of a step that failed."""
    share = f"-{process}" if processes > 1 else ""
    return BATCH_NAMES.replace("*", share)


@contextmanager
def rescued(parts: Sequence[PairBatch], *, file: Path, step: int) -> Iterator[None]:
    """Take a step on ``parts`` in the block; if the loss is no number, keep them in ``file`` for looking at.

    The file holds query, prompt (B, 3, H, W) and mask (B, 1, H, W), and in its header the step and the kinds.

    Args:
        parts: what this process learns from in the step.
        file: in the run's folder.
        step: how many steps were taken before.

    Raises:
        FloatingPointError: the step's own, with the name of the file.
        InputError: memory has run out; says what to lower.
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

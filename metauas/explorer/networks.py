"""Which network the explorer shows: the one place to change that."""

import os
from dataclasses import dataclass

from metauas.model import MetaUAS, load_checkpoint

#: Environment variable that names a checkpoint where no notebook parameter can, as with ``make demo``.
VARIABLE = "METAUAS_CHECKPOINT"
RELEASED = "lite"


@dataclass(frozen=True)
class Network:
    """A network to be explored, in evaluation mode, and in words which one it is."""

    model: MetaUAS
    name: str


def open_network(checkpoint: str = "") -> Network:
    """Open ``checkpoint``, else the one that the environment names, else the released ``lite``.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    chosen = checkpoint or os.environ.get(VARIABLE) or RELEASED
    return Network(load_checkpoint(chosen), chosen)

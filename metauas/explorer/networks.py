"""The network that the explorer shows."""

import os
from dataclasses import dataclass

from metauas.model import MetaUAS, load_checkpoint

#: Environment variable with a checkpoint, for ``make demo``, which has no notebook parameters.
VARIABLE = "METAUAS_CHECKPOINT"
RELEASED = "lite"


@dataclass(frozen=True)
class Network:
    """A network in evaluation mode, and its name."""

    model: MetaUAS
    name: str


def open_network(checkpoint: str = "") -> Network:
    """Open ``checkpoint``, else the one that the environment names, else the released ``lite``.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    chosen = checkpoint or os.environ.get(VARIABLE) or RELEASED
    return Network(load_checkpoint(chosen), chosen)

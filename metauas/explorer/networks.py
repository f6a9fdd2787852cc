"""Which network the explorer shows: the one place to change that."""

import os
from dataclasses import dataclass

from metauas.model import MetaUAS, create_model, load_checkpoint
from metauas.seeding import seed_everything

#: Environment variable that names a checkpoint where no notebook parameter can, as with ``make demo``.
VARIABLE = "METAUAS_CHECKPOINT"


@dataclass(frozen=True)
class Network:
    """A network to be explored, in evaluation mode, and in words which one it is."""

    model: MetaUAS
    name: str


def open_network(checkpoint: str = "") -> Network:
    """Open ``checkpoint``, else the one that the environment names, else a fresh network that has learnt nothing.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    chosen = checkpoint or os.environ.get(VARIABLE, "")
    if chosen:
        return Network(load_checkpoint(chosen), chosen)
    seed_everything(0)
    return Network(
        create_model("nano").eval(), f"a fresh network that has learnt nothing; name a trained one in {VARIABLE}"
    )

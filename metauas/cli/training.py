"""The command that trains a network."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metauas.cli.options import (
    Out,
    Params,
    cli,
    complain,
)

if TYPE_CHECKING:
    pass


@cli.command(
    epilog="Examples: metauas train --params params/offline.yaml --out runs/mine --seed 3; "
    "accelerate launch --num_processes 8 -m metauas train --params params/paper-256.yaml --out runs/paper-256"
)
def train(
    params: Params = None,
    out: Out = Path("runs/train"),
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; overrides the file.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images, pixels; overrides the file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and pairs; overrides the file.")] = None,
    init_from: Annotated[str | None, typer.Option(help="Checkpoint to start from; overrides the file.")] = None,
    pairs: Annotated[str | None, typer.Option(help="Folder of written or CYWS pairs; overrides the file.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue a run that was broken off in --out.")] = True,
) -> None:
    """Train a network on synthesised pairs, as 03_train does, without a notebook; on many GPUs by a launcher."""
    from metauas.train import SavingError, TrainSettings
    from metauas.train import train as train_network
    from metauas.train.data import MAKING
    from metauas.train.processes import is_main_process, leave_processes

    given = {"steps": steps, "size": size, "seed": seed, "init_from": init_from, "pairs": pairs}
    values = _from_file(params, "03_train") | {key: value for key, value in given.items() if value is not None}
    if pairs is not None:  # they are made already: what the file says about making them is void
        values = {key: value for key, value in values.items() if key not in MAKING}
    try:
        result = train_network(TrainSettings.parse(values, origin="training settings"), out=out, resume=resume)
    except (SavingError, FloatingPointError) as error:
        complain(str(error))
        sys.exit(1)
    if is_main_process():
        print(f"checkpoint: {result.checkpoint}")
    leave_processes()


def _from_file(params: Path | None, notebook: str) -> dict[str, Any]:
    """Return what a parameter file says to one notebook; a key that no notebook knows is an error."""
    from metauas.ablations.notebooks import find_notebooks, suite_file
    from metauas.ablations.parameters import read_for_notebooks

    if params is None:
        return {}
    given = read_for_notebooks(suite_file(params), find_notebooks())
    values = next(values for path, values in given.items() if path.stem == notebook)
    return {key: value for key, value in values.items() if key not in ("run_dir", "processes")}

"""The command that trains a network."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from metauas.cli.options import Given, Out, Params, cli, complain


@cli.command(
    epilog="Examples: metauas train --params params/offline.yaml --set network.fusion=add --out runs/mine; "
    "accelerate launch --num_processes 8 -m metauas train --params params/paper-256.yaml --out runs/paper-256"
)
def train(
    params: Params = None,
    out: Out = Path("runs/train"),
    given: Given = None,
    pairs: Annotated[str | None, typer.Option(help="Folder of written or CYWS pairs instead of a recipe.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run in --out.")] = True,
) -> None:
    """Train a network on synthesised pairs as 03_train does; `accelerate launch` starts it on many GPUs."""
    from metauas.ablations.parameters import merged, parse_settings
    from metauas.train import SavingError, TrainSettings
    from metauas.train import train as train_network
    from metauas.train.data import MAKING
    from metauas.train.processes import is_main_process, leave_processes

    values = merged(_from_file(params, "03_train"), parse_settings(given or []))
    if pairs is not None:
        values = {key: value for key, value in values.items() if key not in MAKING} | {"pairs": pairs}
    try:
        result = train_network(TrainSettings.parse(values, origin="training settings"), out=out, resume=resume)
    except (SavingError, FloatingPointError) as error:
        complain(str(error))
        sys.exit(1)
    if is_main_process():
        print(f"checkpoint: {result.checkpoint}")
    leave_processes()


def _from_file(params: Path | None, notebook: str) -> dict[str, Any]:
    """Return the parameters of a file that one notebook declares; a key that no notebook declares is an error."""
    from metauas.ablations.notebooks import find_notebooks, suite_file
    from metauas.ablations.parameters import read_for_notebooks

    if params is None:
        return {}
    values = read_for_notebooks(suite_file(params), find_notebooks())[notebook]
    return {key: value for key, value in values.items() if key not in ("run_dir", "processes")}

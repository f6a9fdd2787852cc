"""Commands that train a network, and write and inspect its pairs: train, synthesize, inspect."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from metauas.cli.options import Given, Out, Params, Scheduler, Workers, cli, complain, console


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


@cli.command(epilog="Example: metauas synthesize --config configs/synthesis/offline.yaml --out data/pairs --workers 8")
def synthesize(
    out: Annotated[Path, typer.Option(help="Folder of the pairs; an unfinished one is completed.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings, such as configs/synthesis/offline.yaml.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="offline, goods, paper, ggoodd, delunnli or draem; replaces the file's."),
    ] = None,
    count: Annotated[int | None, typer.Option(help="Pairs; overrides the file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all pairs; overrides the file.")] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Each shard takes one unit of a worker's resource GPU.")] = False,
) -> None:
    """Write pairs as parquet shards that `datasets` reads; an interrupted run continues with the same command."""
    from metauas.ablations.notebooks import suite_file
    from metauas.synthesis import ShardsFailedError, read_recipe, write_pairs

    settings = read_recipe(config and suite_file(config), preset=preset, count=count, seed=seed)
    try:
        summary = write_pairs(settings, out, scheduler=scheduler, workers=workers, gpu=gpu)
    except (ShardsFailedError, KeyboardInterrupt) as error:
        complain(f"{str(error) or 'stopped'}\nFinished shards stay in {out}; the same command continues from there.")
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    print(f"{summary['pairs']} pairs, {summary['last run']['pairs per second']:.1f} a second: {out}")


@cli.command(epilog="Examples: metauas inspect data/pairs; metauas inspect embedded --count 200 --out inspection")
def inspect(
    data: Annotated[
        str, typer.Argument(help="Folder of written or CYWS pairs, or `embedded`: pairs of the preset offline.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for table, JSON and galleries; made if missing.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of pairs, from the first.")] = 500,
    split: Annotated[str, typer.Option(help="train or validation.")] = "train",
    size: Annotated[int, typer.Option(min=32, help="Side of the pairs, pixels; written pairs keep theirs.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Seed of `embedded` and CYWS pairs.")] = 0,
) -> None:
    """Inspect pairs: kinds, changed areas, duplicates, masks without a change, changes without a mask."""
    from metauas.synthesis import open_pairs
    from metauas.synthesis.inspection.findings import inspect_first

    pairs = open_pairs(data, split=split, size=size, seed=seed, count=count)
    found = inspect_first(pairs, count=count)
    columns = (name.removeprefix("area ") for name in found.kinds().columns)
    table = Table("kind", *columns, title=f"{len(found.pairs)} pairs; quantiles of the changed area in percent")
    for kind, row in found.kinds().iterrows():
        table.add_row(str(kind), *(f"{value:.3g}" for value in row))
    console.print(table)
    for name, numbers in found.findings().items():
        some = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
        print(f"{name}: {len(numbers)}" + (f" (pairs {some})" if numbers else ""))
    if out is not None:
        found.write(out, pairs=pairs)
        print(f"table, JSON and galleries: {out}")


def _from_file(params: Path | None, notebook: str) -> dict[str, Any]:
    """Return the parameters of a file that one notebook declares; a key that no notebook declares is an error."""
    from metauas.ablations.notebooks import find_notebooks, suite_file
    from metauas.ablations.parameters import read_for_notebooks

    if params is None:
        return {}
    values = read_for_notebooks(suite_file(params), find_notebooks())[notebook]
    return {key: value for key, value in values.items() if key not in ("run_dir", "processes")}

"""The command line: ``metauas --help``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metauas.errors import InputError

# what a command needs is imported inside it: torch alone takes seconds, and `--help` should not wait for it

CHECKPOINT = "runs/offline/03_train/checkpoint"
_console = Console(highlight=False)

_app = typer.Typer(
    help="Universal anomaly segmentation with one normal image as the prompt (MetaUAS, NeurIPS 2024).",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
_benchmark = typer.Typer(help="Benchmarks that the package itself can make.", no_args_is_help=True)
_app.add_typer(_benchmark, name="benchmark")

Checkpoint = Annotated[
    str, typer.Option(help="Checkpoint folder, .safetensors file, or the author's .ckpt; `metauas run` leaves one.")
]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
Params = Annotated[Path | None, typer.Option(help="Flat YAML file of parameters, as in params/.")]


def app() -> None:
    """Run the command line; a mistake in what was given ends with one clear sentence and exit status 2."""
    try:
        _app()
    except InputError as error:
        # what is quoted, such as a file's own names, may look like markup
        message = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True, highlight=False).print(message, soft_wrap=True, markup=True)
        sys.exit(2)


@_app.command(epilog="Example: metauas segment --prompt normal.png part1.png part2.png --out maps")
def segment(
    queries: Annotated[list[Path], typer.Argument(help="Images under test.")],
    prompt: Annotated[Path, typer.Option(help="The one normal image.")],
    out: Out = Path("maps"),
    checkpoint: Checkpoint = CHECKPOINT,
    size: Annotated[int, typer.Option(min=32, help="Side to which images are resized for the network, pixels.")] = 256,
) -> None:
    """Segment images with one normal image: write a heat-map overlay for each and print its score."""
    from metauas.eval.files import check_queries, segment_files
    from metauas.images import read_image
    from metauas.model import load_checkpoint

    check_queries(queries)
    read_image(prompt)
    model = load_checkpoint(checkpoint)
    for result in segment_files(model, prompt=prompt, queries=queries, out=out, size=size):
        print(f"{result.score:.4f}  {result.query}  ->  {result.overlay}")


@_app.command(epilog="Example: metauas run --params params/offline.yaml --out runs/offline")
def run(
    params: Params = None,
    out: Out = Path("runs/quick"),
    only: Annotated[list[str] | None, typer.Option(help="Run just this notebook (repeatable), e.g. 03_train.")] = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 3600,
) -> None:
    """Run the five notebooks in order with papermill, and make a page that shows what came out."""
    from metauas.ablations.report import write_index
    from metauas.ablations.runner import NotebookFailedError, run_suite

    try:
        run_suite(params, out, only=only, timeout=timeout)
    except NotebookFailedError as error:
        Console(stderr=True, highlight=False).print(str(error), style="bold red", markup=False, soft_wrap=True)
        sys.exit(1)
    _console.print(f"\nLook at [bold]{write_index(out)}[/]: notebooks, pictures and tables.", soft_wrap=True)


@_app.command(epilog="Example: metauas train --params params/offline.yaml --out runs/mine --seed 3")
def train(
    params: Params = None,
    out: Out = Path("runs/train"),
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; overrides the file.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images, pixels; overrides the file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and pairs; overrides the file.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue a run that was broken off in --out.")] = True,
) -> None:
    """Train a network on synthesised pairs, as 03_train does, without a notebook."""
    from metauas.train import TrainSettings
    from metauas.train import train as train_network

    given = {"steps": steps, "size": size, "seed": seed}
    values = _from_file(params, "03_train") | {key: value for key, value in given.items() if value is not None}
    result = train_network(TrainSettings.parse(values, origin="training settings"), out=out, resume=resume)
    print(f"checkpoint: {result.checkpoint}")


@_app.command("eval", epilog="Example: metauas eval --data /data/mvtec --prompt random --seeds 1,3,5 --out runs/mvtec")
def evaluate(
    data: Annotated[str, typer.Option(help="Folder of a benchmark, or `miniature`, the package's own.")] = "miniature",
    layout: Annotated[str, typer.Option(help="Layout of the folder: mvtec.")] = "mvtec",
    checkpoint: Checkpoint = CHECKPOINT,
    prompt: Annotated[str, typer.Option(help="random, nearest (in its class) or pool (of all classes).")] = "random",
    seeds: Annotated[str, typer.Option(help="Prompt seeds, separated by commas.")] = "1,3,5,7,9",
    size: Annotated[int, typer.Option(help="Side to which images are resized, pixels.")] = 256,
    out: Out = Path("runs/eval"),
) -> None:
    """Evaluate a checkpoint: seven metrics per category, mean and deviation over prompts, beside the baselines."""
    from metauas.eval import EvalSettings, open_benchmark
    from metauas.eval import evaluate as evaluate_network
    from metauas.files import write_json
    from metauas.model import load_checkpoint

    settings = EvalSettings.parse(
        {"prompt": prompt, "seeds": _integers(seeds, name="--seeds"), "size": size}, origin="evaluation settings"
    )
    model = load_checkpoint(checkpoint)
    evaluation = evaluate_network(model, open_benchmark(data, layout=layout), settings)
    path = write_json(out / "metrics.json", evaluation.metrics())
    _print_methods(evaluation.metrics()["methods"])
    print(f"all categories: {path}")


@_app.command(epilog="Example: metauas convert metauas-256.ckpt --out checkpoints/metauas-256")
def convert(
    official: Annotated[Path, typer.Argument(help="The author's file: metauas-256.ckpt or metauas-512.ckpt.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write; made if it is missing.")],
) -> None:
    """Save one of the author's checkpoints as a folder of ours: safetensors, and a configuration for people.

    Nothing in the author's file is executed.
    """
    from metauas.model import load_official, save_checkpoint

    print(f"checkpoint: {save_checkpoint(load_official(official), out)}")


@_benchmark.command(epilog="Example: metauas benchmark miniature --out data/miniature")
def miniature(
    out: Out = Path("data/miniature"),
    seed: Annotated[int, typer.Option(help="Seed of poses, light and defects.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the images, pixels.")] = 256,
) -> None:
    """Draw Miniature, the small benchmark in MVTec AD's layout, to disk."""
    from metauas.eval.miniature import write_miniature

    print(write_miniature(out, seed=seed, size=size))


def _from_file(params: Path | None, notebook: str) -> dict[str, Any]:
    """Return what a parameter file says to one notebook; a key that no notebook knows is an error."""
    from metauas.ablations.parameters import read_parameters, split_parameters
    from metauas.notebooks import find_notebooks

    if params is None:
        return {}
    notebooks = find_notebooks()
    given = split_parameters(read_parameters(params), notebooks, source=params)
    values = next(values for path, values in given.items() if path.stem == notebook)
    return {key: value for key, value in values.items() if key != "run_dir"}


def _integers(text: str, *, name: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} {text!r} is not a list of whole numbers; write for example 1,3,5") from None


def _print_methods(methods: dict[str, Any]) -> None:
    """Print one row a method: the mean over categories, in percent."""
    from metauas.ablations.collect import format_mean_std

    first = next(iter(methods.values()))["mean"]
    table = Table("method", *first, title="mean over categories, percent")
    for name, block in methods.items():
        table.add_row(name, *(format_mean_std(cell["mean"], cell["std"]) for cell in block["mean"].values()))
    _console.print(table)

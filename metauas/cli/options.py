"""The application, the console, and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from metauas.errors import InputError

# names for `--help`, which must not load torch
#: Layouts of benchmarks on disk; ``metauas.eval.LAYOUTS`` holds their readers.
LAYOUTS = ("mvtec", "visa", "goods", "btad", "loco", "mvtec2", "mpdd", "real-iad", "real-iad-single", "folder")
#: Disturbances of prompts; ``metauas.eval.DISTURBANCES`` defines them.
DISTURBANCES = ("rotation", "shift", "scale", "blur", "brightness", "defective")

cli = typer.Typer(
    help="Universal anomaly segmentation with one normal image as the prompt (MetaUAS, NeurIPS 2024).",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
benchmarks = typer.Typer(help="Benchmarks that the package draws.", no_args_is_help=True)
cli.add_typer(benchmarks, name="benchmark")
data = typer.Typer(help="Published benchmarks: how to get them, and whether a copy is complete.", no_args_is_help=True)
cli.add_typer(data, name="data")

console = Console(highlight=False)
CHECKPOINT = "lite"  # the released weights
Checkpoint = Annotated[
    str,
    typer.Option(help="`lite`, the released weights; a checkpoint folder, .safetensors file, or the author's .ckpt."),
]
NormalImages = Annotated[
    list[Path], typer.Option("--prompt", help="The normal image; repeat the option to compare with several.")
]
SinglePass = Annotated[
    bool, typer.Option("--single-pass", help="One forward pass at --size instead of the mean over three image sizes.")
]
Tiles = Annotated[
    bool,
    typer.Option("--tiles", help="Keep the images' own resolution and use overlapping tiles of --size pixels."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, …, or auto: a GPU if there is one.")]
Size = Annotated[int, typer.Option(min=32, help="Side to which images are resized for the network, pixels.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
DataFolder = Annotated[str, typer.Option(help="Folder of a benchmark, or `miniature`, the package's own.")]
Layout = Annotated[str, typer.Option(help=f"Layout of the folder: {', '.join(LAYOUTS)} (`folder`: your own data).")]
Categories = Annotated[str, typer.Option(help="Categories, separated by commas; all if empty.")]
Seeds = Annotated[str, typer.Option(help="Prompt seeds, separated by commas.")]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Address of a running Dask scheduler, such as tcp://10.0.0.1:8786, or its scheduler file."),
]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes on this machine, by default one per core; 0: only this process.")
]
Timeout = Annotated[int | None, typer.Option(min=1, help="Time limit of one cell, seconds; by default none.")]
Params = Annotated[Path | None, typer.Option(help="YAML file of parameters, such as params/quick.yaml.")]

Given = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="NAME=VALUE replaces a value of the file, such as size=96 or network.alignment=hard (repeatable).",
    ),
]


def complain(text: str) -> None:
    """Print an error to standard error, its first word in red if that is ``error:``."""
    message = Text(text)  # in which brackets, as of file names, are no markup
    message.highlight_regex("^error:", style="bold red")
    Console(stderr=True, highlight=False).print(message, soft_wrap=True)


def integers(text: str, *, name: str) -> list[int]:
    """Parse whole numbers separated by commas; ``name`` is the option's, for the error."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} {text!r} is not a list of whole numbers; write for example 1,3,5") from None


def names(text: str) -> list[str]:
    """Parse names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]

"""Commands that convert and export networks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from metauas.cli.options import CHECKPOINT, Checkpoint, Out, Size, cli, console


@cli.command(epilog="Example: metauas convert metauas-256.ckpt --out checkpoints/metauas-256")
def convert(
    official: Annotated[Path, typer.Argument(help="The author's file: metauas-256.ckpt or metauas-512.ckpt.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write; made if it is missing.")],
) -> None:
    """Save one of the author's checkpoints as a folder of ours: safetensors, and a configuration for people.

    Nothing in the author's file is executed.
    """
    from metauas.model import load_official, save_checkpoint

    print(f"checkpoint: {save_checkpoint(load_official(official), out)}")


@cli.command(epilog="Example: metauas export --checkpoint runs/offline/03_train/checkpoint --out exported --size 256")
def export(
    checkpoint: Checkpoint = CHECKPOINT,
    out: Out = Path("exported"),
    size: Size = 256,
    file_format: Annotated[
        Literal["onnx", "torch"], typer.Option("--format", help="ONNX, or programs of torch.export (.pt2).")
    ] = "onnx",
) -> None:
    """Write a checkpoint as two graphs that run without this package: one for the prompt, one for queries."""
    from metauas.model import export_model, load_checkpoint

    with console.status("tracing and writing two graphs; this takes up to a minute"):
        folder = export_model(load_checkpoint(checkpoint), out, size=size, file_format=file_format)
    print(f"graphs: {folder}")

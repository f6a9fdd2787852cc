"""Commands that convert, export and publish networks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from metauas.cli.options import CHECKPOINT, Checkpoint, Out, Size, cli, console
from metauas.errors import InputError


@cli.command(epilog="Example: metauas convert metauas-256.ckpt --out checkpoints/metauas-256")
def convert(
    official: Annotated[Path, typer.Argument(help="The author's file: metauas-256.ckpt or metauas-512.ckpt.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write; made if it is missing.")],
) -> None:
    """Save one of the author's checkpoints as a folder of ours: safetensors and a readable configuration.

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


@cli.command(epilog="Example: metauas push me/model --checkpoint runs/mine/checkpoint --metrics 'MVTec AD=runs/mvtec'")
def push(
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub; made if it is missing.")],
    checkpoint: Checkpoint = CHECKPOINT,
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="BENCHMARK=PATH: the folder of an evaluation, whose metrics go into the model card."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> None:
    """Upload a network to the Hugging Face Hub, with a model card and, if given, its metrics on benchmarks."""
    from metauas.model import load_checkpoint

    results: dict[str, str] = {}
    for benchmark, path in map(_benchmark_and_path, metrics or []):
        if benchmark in results:
            raise InputError(f"--metrics names the benchmark {benchmark!r} twice; give one path for each benchmark")
        results[benchmark] = path
    url = load_checkpoint(checkpoint).push_to_hub(repository, metrics=results, private=private or None)
    print(f"commit: {url}")


def _benchmark_and_path(text: str) -> tuple[str, str]:
    benchmark, equals, path = text.partition("=")
    if not (benchmark.strip() and equals and path):
        raise InputError(f"--metrics {text!r} is not BENCHMARK=PATH; write for example 'MVTec AD=runs/mvtec'")
    return benchmark.strip(), path

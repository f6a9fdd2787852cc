"""Commands that run notebooks: run, notebooks, sweep."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from metauas.cli.options import Given, Out, Params, Scheduler, Timeout, Workers, cli, complain, console, integers


@cli.command(epilog="Example: metauas run --params params/offline.yaml --out runs/offline")
def run(
    params: Params = None,
    out: Out = Path("runs/quick"),
    only: Annotated[list[str] | None, typer.Option(help="Only this notebook, such as 03_train (repeatable).")] = None,
    timeout: Timeout = None,
) -> None:
    """Run the five notebooks in order with papermill, and make a page of their results."""
    from metauas.ablations.notebooks import suite_file
    from metauas.ablations.results.page import write_index
    from metauas.ablations.runner import NotebookFailedError, run_suite

    try:
        run_suite(params and suite_file(params), out, only=only, timeout=timeout)
    except NotebookFailedError as error:
        complain(str(error))
        sys.exit(1)
    console.print(f"\nLook at [bold]{write_index(out)}[/]: notebooks, pictures and tables.", soft_wrap=True)


@cli.command(epilog="Example: metauas notebooks suite; then jupyter lab suite/notebooks")
def notebooks(out: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Copy notebooks, parameter files and recipes into a new folder, to explore and change them."""
    from metauas.ablations.notebooks import copy_suite

    print(f"notebooks: {copy_suite(out)}")


@cli.command(epilog="Examples: metauas sweep alignment prompt --scale offline; metauas sweep params/alignment/*.yaml")
def sweep(
    files: Annotated[list[str], typer.Argument(help="Factors of params/ such as alignment, or parameter files.")],
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas; one run of each file per seed.")] = "1,3,5",
    scale: Annotated[
        str, typer.Option(help="Shared by all runs: quick, offline, paper-256, paper-512, or a parameter file.")
    ] = "quick",
    given: Given = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; by default runs/ablations/SCALE.")] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Each stage takes one unit of a worker's resource GPU.")] = False,
    timeout: Timeout = None,
    report: Annotated[bool, typer.Option("--report", help="Then run 05_ablations on the finished runs.")] = False,
) -> None:
    """Run ablations: every parameter file under every seed, by papermill, on this machine or a Dask cluster.

    Finished runs with the same parameters and code are not repeated, so an interrupted sweep continues.
    """
    from metauas.ablations.factors import find_files
    from metauas.ablations.parameters import parse_settings
    from metauas.ablations.results.page import write_report
    from metauas.ablations.runner import NotebookFailedError
    from metauas.ablations.sweep import run_sweep

    folder = out or Path("runs/ablations") / Path(scale).stem
    chosen, overrides = find_files(files), parse_settings(given or [])
    try:
        runs = run_sweep(
            chosen,
            out=folder,
            seeds=integers(seeds, name="--seeds"),
            scale=scale,
            overrides=overrides,
            scheduler=scheduler,
            workers=workers,
            gpu=gpu,
            timeout=timeout,
        )
        if report:
            print(f"report: {write_report(folder)}")
    except (NotebookFailedError, KeyboardInterrupt) as error:
        complain(str(error) or f"stopped\nFinished runs stay in {folder}; the same command continues from there.")
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    print(f"runs: {folder}")
    if (runs["status"] == "failed").any():
        sys.exit(1)

"""Commands for benchmarks: benchmark miniature, data check, data info."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from metauas.cli.options import LAYOUTS, Out, benchmarks, console, data


@benchmarks.command(epilog="Example: metauas benchmark miniature --out data/miniature")
def miniature(
    out: Out = Path("data/miniature"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of poses, light and defects.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the images, pixels.")] = 256,
) -> None:
    """Draw Miniature, the small benchmark in MVTec AD's layout, to disk."""
    from metauas.eval.miniature import write_miniature

    print(write_miniature(out, seed=seed, size=size))


@data.command(
    epilog="Examples: metauas data check visa /data/VisA; metauas data check visa /data/visa_1cls --layout mvtec"
)
def check(
    name: Annotated[str, typer.Argument(help=f"Benchmark: {', '.join(LAYOUTS)} (`folder`: your own data).")],
    root: Annotated[Path, typer.Argument(help="Its folder.")],
    layout: Annotated[str | None, typer.Option(help="Layout of the folder; by default the benchmark's own.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Decode every image: slow, finds each broken one.")] = False,
) -> None:
    """Check a benchmark on disk against its published facts; exit status 1 if there is a finding."""
    from metauas.eval.benchmarks.check import check_data
    from metauas.eval.benchmarks.tables import check_lines, check_table

    found = check_data(name, root, layout=layout, deep=deep)
    console.print(check_table(found))
    for line in check_lines(found):
        console.print(line, markup=False, emoji=False, soft_wrap=True)
    if not found.fine:
        sys.exit(1)
    print("no findings")


@data.command(epilog="Examples: metauas data info; metauas data info visa")
def info(name: Annotated[str | None, typer.Argument(help="Benchmark; without it, a table of all.")] = None) -> None:
    """Show the source and licence of a benchmark, and how to get, check and evaluate it."""
    from metauas.eval.benchmarks.catalogue import find_source
    from metauas.eval.benchmarks.tables import catalogue_table, source_lines

    if name is None:
        console.print(catalogue_table())
        return
    for line in source_lines(name, find_source(name)):
        console.print(line, markup=False, emoji=False, soft_wrap=True)

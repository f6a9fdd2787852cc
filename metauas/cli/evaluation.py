"""Commands that evaluate a checkpoint: eval, robustness."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from metauas.cli.options import (
    CHECKPOINT,
    DISTURBANCES,
    Categories,
    Checkpoint,
    DataFolder,
    Device,
    Layout,
    Out,
    Seeds,
    Size,
    cli,
    console,
    integers,
    names,
)

if TYPE_CHECKING:
    from metauas.eval import Evaluation

_COLUMNS = 7  # metrics in one table, for which 80 columns are enough


@cli.command("eval", epilog="Example: metauas eval --data /data/mvtec --prompt random --seeds 1,3,5 --out runs/mvtec")
def evaluate(
    data: DataFolder = "miniature",
    layout: Layout = "mvtec",
    categories: Categories = "",
    checkpoint: Checkpoint = CHECKPOINT,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            "--prompts",
            help="random, nearest (most similar of the class), pool (most similar of all classes), defective, or a "
            "prompt file; {seed} in its name stands for each seed.",
        ),
    ] = "random",
    shots: Annotated[int, typer.Option(help="Normal images with which each query is compared.")] = 1,
    seeds: Seeds = "1,3,5,7,9",
    size: Annotated[int, typer.Option(help="Side to which images are resized, pixels.")] = 256,
    queries_at_once: Annotated[int, typer.Option(help="Queries in one batch; does not change results.")] = 16,
    out: Out = Path("runs/eval"),
    maps: Annotated[bool, typer.Option("--maps", help="Also write every anomaly map as 16-bit PNG.")] = False,
    baselines: Annotated[bool, typer.Option(help="Also evaluate methods without training.")] = True,
    average_scales: Annotated[
        bool, typer.Option("--average-scales", help="Also evaluate the mean over several image sizes.")
    ] = False,
    plus: Annotated[
        str, typer.Option(help="Also evaluate MetaUAS★+ with features of its own encoder (encoder) or of CLIP (clip).")
    ] = "none",
    tiles: Annotated[
        int | None,
        typer.Option(min=32, help="Also evaluate overlapping tiles of this side, pixels, of images of --size."),
    ] = None,
    official: Annotated[bool, typer.Option("--official", help="Also give the metrics of the author's script.")] = False,
    submit: Annotated[
        bool, typer.Option("--submit", help="Also write submission.tar.gz for MVTec AD 2's server (layout mvtec2).")
    ] = False,
    device: Device = "auto",
) -> None:
    """Evaluate a checkpoint and baselines: seven metrics per category, mean and deviation over prompt seeds.

    Writes metrics.json, metrics.csv (one row per number), and report.html with curves and a gallery of failures.
    """
    from metauas.eval import EvalSettings, MapGatherer, open_benchmark, variants_of, write_report
    from metauas.eval import evaluate as evaluate_network
    from metauas.eval.prompts.strategies import create_strategy
    from metauas.eval.report.maps import MapWriter
    from metauas.eval.report.submission import SUBMISSION_NAME, check_submission, write_submission
    from metauas.eval.results import check_out, write_results
    from metauas.files.locks import alone_in
    from metauas.machine import choose_device
    from metauas.model import load_checkpoint

    given = {"prompt": prompt, "shots": shots, "seeds": integers(seeds, name="--seeds"), "size": size}
    given |= {"queries_at_once": queries_at_once, "average_scales": average_scales, "plus": plus, "tiles": tiles}
    settings = EvalSettings.parse(given, origin="evaluation settings")
    place = choose_device(device)
    check_out(out)
    model = load_checkpoint(checkpoint).to(place)
    benchmark = open_benchmark(data, layout=layout, categories=names(categories))
    if submit:
        check_submission(benchmark, settings)
    variants = [variant.to(place) for variant in variants_of(model, settings)]
    create_strategy(settings, benchmark, embed=model.embed)  # checks shots and prompt files before a folder is made
    gatherer = MapGatherer(benchmark)
    writers = [MapWriter(out / "maps", benchmark)] if maps else []
    with alone_in(out):
        evaluation = evaluate_network(
            model,
            benchmark,
            settings,
            variants=variants,
            baselines=baselines,
            official=official,
            on_maps=[*writers, gatherer],
        )
        curves, cases = gatherer.curves, gatherer.cases
        # before the report, which may fail
        paths = write_results(out, metrics=evaluation.metrics(), values=evaluation.values)
        paths.append(
            write_report(out, evaluation, benchmark=benchmark, curves=curves, cases=cases, checkpoint=checkpoint)
        )
        if submit:
            paths.append(write_submission(out / SUBMISSION_NAME, model, benchmark, settings))
    _print_evaluation(evaluation)
    for path in [*paths, *([out / "maps"] if maps else [])]:
        print(f"written: {path}")


@cli.command(epilog="Example: metauas robustness --data /data/mvtec --disturbances rotation,shift --seeds 1,3")
def robustness(
    data: DataFolder = "miniature",
    layout: Layout = "mvtec",
    categories: Categories = "",
    checkpoint: Checkpoint = CHECKPOINT,
    disturbances: Annotated[
        str, typer.Option(help=f"Some of {', '.join(DISTURBANCES)}, separated by commas; all if empty.")
    ] = "",
    seeds: Seeds = "1,3,5,7,9",
    size: Size = 256,
    out: Out = Path("runs/robustness"),
    device: Device = "auto",
) -> None:
    """Measure each metric against disturbances of the prompt, such as rotation, blur or a defect.

    Writes metrics.json, metrics.csv (one row per number), and curves as robustness.png.
    """
    from metauas.eval import EvalSettings, measure_robustness, open_benchmark
    from metauas.eval.report.figures import show_robustness
    from metauas.eval.results import check_out, write_results
    from metauas.eval.robustness import check_disturbances
    from metauas.files.locks import alone_in
    from metauas.machine import choose_device
    from metauas.model import load_checkpoint
    from metauas.plots import save_figure

    given = {"seeds": integers(seeds, name="--seeds"), "size": size}
    settings = EvalSettings.parse(given, origin="evaluation settings")
    wanted = check_disturbances(names(disturbances) or list(DISTURBANCES))
    place = choose_device(device)
    check_out(out)
    model = load_checkpoint(checkpoint).to(place)
    benchmark = open_benchmark(data, layout=layout, categories=names(categories))
    with alone_in(out):
        found = measure_robustness(model, benchmark, settings, disturbances=wanted)
        picture = save_figure(show_robustness(found.summary()), out / "robustness.png")
        paths = [*write_results(out, metrics=found.metrics(), values=found.values), picture]
    for path in paths:
        print(f"written: {path}")


def _print_evaluation(evaluation: "Evaluation") -> None:
    """Print a table for each definition of the metrics: the network in each category, then every method's mean."""
    from metauas.eval.benchmarks.layouts.samples import MEAN
    from metauas.eval.benchmarks.queries import pieces

    for definition in evaluation.definitions():
        cells = evaluation.table(definition=definition)
        categories = [name for name in cells.loc[evaluation.network].index if name != MEAN]
        title = f"{evaluation.network}, percent; {definition} metrics; below the line: means over the categories"
        for metrics in pieces(evaluation.metric_names(definition), _COLUMNS):
            table = Table("", title=title, box=box.HORIZONTALS, pad_edge=False)
            for metric in metrics:
                table.add_column(metric, justify="right", no_wrap=True)
            for category in categories:
                _add_row(table, category, cells.loc[(evaluation.network, category)], metrics)
            table.add_section()
            for method in evaluation.methods():
                _add_row(table, method, cells.loc[(method, MEAN)], metrics)
            console.print(table)
        for metric, count in evaluation.averaged_over(definition=definition).items():
            if count < len(categories):
                print(f"{metric}: mean over {count} of {len(categories)} categories; in the others it is undefined (–)")


def _add_row(table: Table, name: str, row: Any, metrics: Sequence[str]) -> None:
    from metauas.ablations.results.collect import format_mean_std

    texts = (format_mean_std(row[metric, "mean"], row[metric, "std"]) for metric in metrics)
    table.add_row(escape(name), *(text.replace(" ± ", "\n±") for text in texts))  # so that 80 columns are enough

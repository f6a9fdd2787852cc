"""The command line: ``metauas --help``."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metauas.errors import InputError

if TYPE_CHECKING:
    import torch

    from metauas.eval import Evaluation
    from metauas.model import MetaUAS, ScaleAverage

# what a command needs is imported inside it: torch alone takes seconds, and `--help` should not wait for it

CHECKPOINT = "lite"  # the released weights
_console = Console(highlight=False)

_app = typer.Typer(
    help="Universal anomaly segmentation with one normal image as the prompt (MetaUAS, NeurIPS 2024).",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
_benchmark = typer.Typer(help="Benchmarks that the package itself can make.", no_args_is_help=True)
_app.add_typer(_benchmark, name="benchmark")
_data = typer.Typer(
    help="The field's benchmarks: how to get them, and whether yours is complete.", no_args_is_help=True
)
_app.add_typer(_data, name="data")

Checkpoint = Annotated[
    str,
    typer.Option(help="`lite`, the released weights; a checkpoint folder, .safetensors file, or the author's .ckpt."),
]
NormalImages = Annotated[
    list[Path], typer.Option("--prompt", help="The normal image; repeat the option to compare with several.")
]
SinglePass = Annotated[
    bool, typer.Option("--single-pass", help="One forward pass: faster, but not averaged over three image sizes.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, …, or auto: a GPU if there is one.")]
Size = Annotated[int, typer.Option(min=32, help="Side to which images are resized for the network, pixels.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
LAYOUT_NAMES = "mvtec, visa, goods, btad, loco, real-iad, or folder for your own"
Scheduler = Annotated[
    str | None,
    typer.Option(help="A Dask scheduler that runs already, such as tcp://10.0.0.1:8786, or its scheduler file."),
]
Timeout = Annotated[int | None, typer.Option(min=1, help="Seconds that one cell may take; by default no limit.")]
Params = Annotated[Path | None, typer.Option(help="Flat YAML file of parameters, such as params/quick.yaml.")]


def _complain(text: str) -> None:
    """Print in red, to standard error, what went wrong."""
    Console(stderr=True, highlight=False).print(text, style="bold red", markup=False, soft_wrap=True)


def app() -> None:
    """Run the command line; a mistake in what was given ends with one clear sentence and exit status 2.

    SIGTERM ends it as Ctrl-C does: workers are sent home, and what was half written is taken away.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        _app()
    except InputError as error:
        # what is quoted, such as a file's own names, may look like markup
        message = f"[bold red]error:[/] {escape(str(error))}"
        Console(stderr=True, highlight=False).print(message, soft_wrap=True, markup=True)
        sys.exit(2)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


@_app.command(epilog="Example: metauas segment --prompt normal.png part1.png part2.png --out maps")
def segment(
    queries: Annotated[list[Path], typer.Argument(help="Images under test, or folders of them.")],
    prompt: NormalImages,
    out: Out = Path("maps"),
    checkpoint: Checkpoint = CHECKPOINT,
    size: Size = 256,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score above which an image is defective, whatever calibration.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="File by `metauas calibrate`, if not the one beside the checkpoint.")
    ] = None,
    scores_only: Annotated[bool, typer.Option("--scores-only", help="Give no verdicts.")] = False,
    single_pass: SinglePass = False,
    device: Device = "auto",
) -> None:
    """Segment images with one normal image: write a heat-map overlay for each and print its score.

    With a calibration beside the checkpoint, or a threshold, also say OK or DEFECTIVE, outline the defective regions,
    and write scores.csv and results.json.
    """
    from metauas.eval.calibration import find_calibration
    from metauas.eval.files import check_queries, find_queries, segment_files, write_results
    from metauas.eval.network import choose_device
    from metauas.images import read_image

    if sum((threshold is not None, calibration is not None, scores_only)) > 1:
        raise InputError("--threshold, --calibration and --scores-only exclude each other; give one of them")
    paths, place = find_queries(queries), choose_device(device)
    check_queries(paths)
    for path in prompt:
        read_image(path)
    uses_calibration = threshold is None and not scores_only
    found = find_calibration(checkpoint, given=calibration) if uses_calibration else None
    model = _load_network(checkpoint, place, single_pass=single_pass)
    if found is not None:
        found.check_fit(model, prompts=prompt, size=size)
        threshold = found.threshold
    results = []
    for result in segment_files(model, prompts=prompt, queries=paths, out=out, size=size, threshold=threshold):
        columns = (f"{result.score:.4f}", result.verdict, f"{result.query}  ->  {result.overlay}")
        print("  ".join(filter(None, columns)))
        results.append(result)
    if threshold is not None:
        about = {"prompts": list(map(str, prompt)), "size": size, "threshold": threshold}
        write_results(out, results, about=about | {"calibration": found and found.model_dump(mode="json")})


@_app.command(epilog="Example: metauas calibrate --prompt normal.png good/*.png --rate 0.01")
def calibrate(
    normal: Annotated[
        list[Path],
        typer.Argument(help="Other normal images, or folders of them; 99 images for a rate of 0.01."),
    ],
    prompt: NormalImages,
    checkpoint: Checkpoint = CHECKPOINT,
    rate: Annotated[float, typer.Option(help="Share of normal images that may be called defective.")] = 0.01,
    size: Size = 256,
    out: Annotated[Path | None, typer.Option(help="File to write, if not calibration.json beside the weights.")] = None,
    single_pass: SinglePass = False,
    device: Device = "auto",
) -> None:
    """Find the threshold for a wished false-positive rate by normal images alone; `segment` then gives verdicts."""
    from metauas.eval import calibration
    from metauas.eval.files import find_queries
    from metauas.eval.network import choose_device

    images, place = find_queries(normal), choose_device(device)
    calibration.check_enough(len(images), rate)
    model = _load_network(checkpoint, place, single_pass=single_pass)
    found = calibration.calibrate(model, prompts=prompt, normal=images, false_positive_rate=rate, size=size)
    for path in found.left_out:
        print(f"left out: {path}, a prompt or another image again", file=sys.stderr)
    low, high = found.interval
    print(f"threshold: {found.threshold:.4f}")
    print(f"false positives: at most {100 * rate:g} % on average over calibrations")
    print(f"interval: {100 * low:.2g} % to {100 * high:.2g} % with this one (95 % confidence)")
    print(f"calibration: {calibration.write_calibration(out or calibration.calibration_file(checkpoint), found)}")


@_app.command(epilog="Example: metauas run --params params/offline.yaml --out runs/offline")
def run(
    params: Params = None,
    out: Out = Path("runs/quick"),
    only: Annotated[list[str] | None, typer.Option(help="Run just this notebook (repeatable), e.g. 03_train.")] = None,
    timeout: Timeout = None,
) -> None:
    """Run the five notebooks in order with papermill, and make a page that shows what came out."""
    from metauas.ablations.report import write_index
    from metauas.ablations.runner import NotebookFailedError, run_suite
    from metauas.notebooks import suite_file

    try:
        run_suite(params and suite_file(params), out, only=only, timeout=timeout)
    except NotebookFailedError as error:
        _complain(str(error))
        sys.exit(1)
    _console.print(f"\nLook at [bold]{write_index(out)}[/]: notebooks, pictures and tables.", soft_wrap=True)


@_app.command(epilog="Example: metauas notebooks suite; then jupyter lab suite/notebooks")
def notebooks(out: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Copy notebooks, parameter files and recipes into a folder, to be explored and changed."""
    from metauas.notebooks import copy_suite

    print(f"notebooks: {copy_suite(out)}")


@_app.command(epilog="Examples: metauas sweep alignment prompt --scale offline; metauas sweep params/alignment/*.yaml")
def sweep(
    files: Annotated[list[str], typer.Argument(help="Factors of params/ such as alignment, or parameter files.")],
    seeds: Annotated[str, typer.Option(help="One run of each file per seed, separated by commas.")] = "1,3,5",
    scale: Annotated[
        str, typer.Option(help="What all runs share: quick, offline, paper-256, paper-512, or a parameter file.")
    ] = "quick",
    given: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for all runs, over their files (repeatable).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; by default runs/ablations/SCALE.")] = None,
    scheduler: Scheduler = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes on this machine, by default one a core; 0 for just this one.")
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Each stage takes one unit of a worker's resource GPU.")] = False,
    timeout: Timeout = None,
    report: Annotated[bool, typer.Option("--report", help="Then run 05_ablations on what is there.")] = False,
) -> None:
    """Run ablations: papermill runs of every file under every seed, on this machine or any Dask cluster.

    What is done with the same parameters and code is not repeated, so that a sweep that was stopped goes on.
    """
    from metauas.ablations.factors import find_files
    from metauas.ablations.parameters import parse_settings
    from metauas.ablations.report import write_report
    from metauas.ablations.runner import NotebookFailedError
    from metauas.ablations.sweep import run_sweep

    folder = out or Path("runs/ablations") / Path(scale).stem
    chosen, overrides = find_files(files), parse_settings(given or [])
    try:
        runs = run_sweep(
            chosen,
            out=folder,
            seeds=_integers(seeds, name="--seeds"),
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
        told = str(error) or f"stopped\nWhat is finished stays in {folder}; the same command goes on from there."
        _complain(told)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    print(f"runs: {folder}")
    if (runs["status"] == "failed").any():
        sys.exit(1)


@_app.command(
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
    pairs: Annotated[str | None, typer.Option(help="Folder by `metauas synthesize`; overrides the file.")] = None,
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
        _complain(str(error))
        sys.exit(1)
    if is_main_process():
        print(f"checkpoint: {result.checkpoint}")
    leave_processes()


@_app.command(epilog="Example: metauas synthesize --config configs/synthesis/offline.yaml --out data/pairs --workers 8")
def synthesize(
    out: Annotated[Path, typer.Option(help="Folder of the pairs; one that was begun is finished.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings, such as configs/synthesis/offline.yaml.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="offline, items, surfaces, goods, paper, ggoodd, delunnli or draem; replaces the file's."),
    ] = None,
    count: Annotated[int | None, typer.Option(help="Pairs; overrides the file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all pairs; overrides the file.")] = None,
    scheduler: Scheduler = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes on this machine, by default one a core; 0 for just this one.")
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Each shard takes one unit of a worker's resource GPU.")] = False,
) -> None:
    """Write pairs as parquet shards that `datasets` reads; killed and started again, it goes on where it was."""
    from metauas.notebooks import suite_file
    from metauas.synthesis import ShardsFailedError, read_recipe, write_pairs

    settings = read_recipe(config and suite_file(config), preset=preset, count=count, seed=seed)
    try:
        summary = write_pairs(settings, out, scheduler=scheduler, workers=workers, gpu=gpu)
    except (ShardsFailedError, KeyboardInterrupt) as error:
        told = str(error) or "stopped"
        message = f"{told}\nWhat is finished stays in {out}; the same command goes on from there."
        _complain(message)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
    print(f"{summary['pairs']} pairs, {summary['last run']['pairs per second']:.1f} a second: {out}")


@_app.command(epilog="Examples: metauas inspect data/pairs; metauas inspect embedded --count 200 --out inspection")
def inspect(
    data: Annotated[str, typer.Argument(help="Written pairs, a CYWS coco-inpainted folder, or embedded: those drawn.")],
    out: Annotated[Path | None, typer.Option(help="Folder for table, JSON and galleries; made if missing.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many pairs, from the first.")] = 500,
    split: Annotated[str, typer.Option(help="train or validation.")] = "train",
    size: Annotated[int, typer.Option(min=32, help="Side of the pairs, pixels; written ones keep theirs.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of pairs that are drawn.")] = 0,
) -> None:
    """Look through pairs: kinds, changed areas, duplicates, masks that mark nothing, changes without a mask."""
    from metauas.synthesis.inspection import inspect_first, open_pairs

    pairs = open_pairs(data, split=split, size=size, seed=seed, count=count)
    found = inspect_first(pairs, count=count)
    columns = (name.removeprefix("area ") for name in found.kinds().columns)
    table = Table("kind", *columns, title=f"{len(found.pairs)} pairs; quantiles of the changed area in percent")
    for kind, row in found.kinds().iterrows():
        table.add_row(str(kind), *(f"{value:.3g}" for value in row))
    _console.print(table)
    for name, numbers in found.findings().items():
        some = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
        print(f"{name}: {len(numbers)}" + (f" (pairs {some})" if numbers else ""))
    if out is not None:
        found.write(out, pairs=pairs)
        print(f"table, JSON and galleries: {out}")


@_app.command("eval", epilog="Example: metauas eval --data /data/mvtec --prompt random --seeds 1,3,5 --out runs/mvtec")
def evaluate(
    data: Annotated[str, typer.Option(help="Folder of a benchmark, or `miniature`, the package's own.")] = "miniature",
    layout: Annotated[str, typer.Option(help=f"Layout of the folder: {LAYOUT_NAMES}.")] = "mvtec",
    categories: Annotated[str, typer.Option(help="Categories, separated by commas; all if empty.")] = "",
    checkpoint: Checkpoint = CHECKPOINT,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            "--prompts",
            help="random, nearest (in its class), pool (of all classes), defective, or a file; {seed} in its name.",
        ),
    ] = "random",
    shots: Annotated[int, typer.Option(help="Normal images that a query is compared with at once.")] = 1,
    seeds: Annotated[str, typer.Option(help="Prompt seeds, separated by commas.")] = "1,3,5,7,9",
    size: Annotated[int, typer.Option(help="Side to which images are resized, pixels.")] = 256,
    batch_size: Annotated[int, typer.Option(help="Queries at once; changes no result.")] = 16,
    out: Out = Path("runs/eval"),
    maps: Annotated[bool, typer.Option("--maps", help="Write every anomaly map too, as 16-bit PNG.")] = False,
    baselines: Annotated[bool, typer.Option(help="Evaluate methods that learn nothing as well.")] = True,
    average_scales: Annotated[
        bool, typer.Option("--average-scales", help="Also evaluate the mean over several image sizes.")
    ] = False,
    plus: Annotated[
        str, typer.Option(help="Also evaluate MetaUAS★+: encoder (features of its own encoder) or clip; or none.")
    ] = "none",
    official: Annotated[bool, typer.Option("--official", help="Also give the metrics of the author's script.")] = False,
    device: Device = "auto",
) -> None:
    """Evaluate a checkpoint: seven metrics per category, mean and deviation over prompts, beside the baselines.

    Writes metrics.json, metrics.csv with a row for every number, and report.html with curves and a gallery of failures.
    """
    from metauas.eval import EvalSettings, MapGatherer, each_of, open_benchmark, variants_of, write_report
    from metauas.eval import evaluate as evaluate_network
    from metauas.eval.maps import MapWriter
    from metauas.eval.network import choose_device
    from metauas.eval.results import check_out, write_results
    from metauas.locks import alone_in
    from metauas.model import load_checkpoint

    given = {"prompt": prompt, "shots": shots, "seeds": _integers(seeds, name="--seeds")}
    given |= {"size": size, "batch_size": batch_size, "average_scales": average_scales, "plus": plus}
    settings = EvalSettings.parse(given, origin="evaluation settings")
    place = choose_device(device)
    check_out(out)
    model = load_checkpoint(checkpoint).to(place)
    benchmark = open_benchmark(data, layout=layout, categories=_names(categories))
    variants = [variant.to(place) for variant in variants_of(model, settings)]
    writer = MapWriter(out / "maps", benchmark) if maps else None
    gatherer = MapGatherer(benchmark, settings, embed=model.embed)
    take = each_of(writer, gatherer)
    with alone_in(out):
        evaluation = evaluate_network(
            model, benchmark, settings, variants=variants, baselines=baselines, official=official, on_maps=take
        )
        curves, cases = gatherer.curves, gatherer.cases
        paths = list(write_results(evaluation, out))  # before the report, which may fail
        paths.append(
            write_report(out, evaluation, benchmark=benchmark, curves=curves, cases=cases, checkpoint=checkpoint)
        )
    _print_evaluation(evaluation)
    for path in [*paths, *([out / "maps"] if maps else [])]:
        print(f"written: {path}")


@_app.command(epilog="Example: metauas robustness --data /data/mvtec --disturbances rotation,shift --seeds 1,3")
def robustness(
    data: Annotated[str, typer.Option(help="Folder of a benchmark, or `miniature`, the package's own.")] = "miniature",
    layout: Annotated[str, typer.Option(help=f"Layout of the folder: {LAYOUT_NAMES}.")] = "mvtec",
    categories: Annotated[str, typer.Option(help="Categories, separated by commas; all if empty.")] = "",
    checkpoint: Checkpoint = CHECKPOINT,
    disturbances: Annotated[
        str, typer.Option(help="Of rotation, shift, scale, blur, brightness, defective, by commas; all if empty.")
    ] = "",
    seeds: Annotated[str, typer.Option(help="Prompt seeds, separated by commas.")] = "1,3,5,7,9",
    size: Size = 256,
    out: Out = Path("runs/robustness"),
    device: Device = "auto",
) -> None:
    """Measure how every metric falls when the prompt is turned, shifted, scaled, blurred, lit otherwise or defective.

    Writes metrics.json, metrics.csv with a row for every number, and curves as robustness.png.
    """
    from metauas.eval import DISTURBANCES, EvalSettings, measure_robustness, open_benchmark
    from metauas.eval.network import choose_device
    from metauas.eval.results import check_out
    from metauas.eval.robustness import check_disturbances, write_robustness
    from metauas.locks import alone_in
    from metauas.model import load_checkpoint
    from metauas.plots import save_figure, show_robustness

    given = {"seeds": _integers(seeds, name="--seeds"), "size": size}
    settings = EvalSettings.parse(given, origin="evaluation settings")
    wanted = check_disturbances(_names(disturbances) or list(DISTURBANCES))
    place = choose_device(device)
    check_out(out)
    model = load_checkpoint(checkpoint).to(place)
    benchmark = open_benchmark(data, layout=layout, categories=_names(categories))
    with alone_in(out):
        found = measure_robustness(model, benchmark, settings, disturbances=wanted)
        picture = save_figure(show_robustness(found.summary()), out / "robustness.png")
        paths = [*write_robustness(found, out), picture]
    for path in paths:
        print(f"written: {path}")


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


@_app.command(epilog="Example: metauas export --checkpoint runs/offline/03_train/checkpoint --out exported --size 256")
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

    with _console.status("tracing and writing two graphs; this takes up to a minute"):
        folder = export_model(load_checkpoint(checkpoint), out, size=size, file_format=file_format)
    print(f"graphs: {folder}")


@_benchmark.command(epilog="Example: metauas benchmark miniature --out data/miniature")
def miniature(
    out: Out = Path("data/miniature"),
    seed: Annotated[int, typer.Option(help="Seed of poses, light and defects.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the images, pixels.")] = 256,
) -> None:
    """Draw Miniature, the small benchmark in MVTec AD's layout, to disk."""
    from metauas.eval.miniature import write_miniature

    print(write_miniature(out, seed=seed, size=size))


@_data.command(
    epilog="Examples: metauas data check visa /data/VisA; metauas data check visa /data/visa_1cls --layout mvtec"
)
def check(
    name: Annotated[str, typer.Argument(help=f"Benchmark: {LAYOUT_NAMES}.")],
    root: Annotated[Path, typer.Argument(help="Its folder.")],
    layout: Annotated[str | None, typer.Option(help="Layout of the folder, if not the benchmark's own.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Decode every image: slow, finds every broken one.")] = False,
) -> None:
    """Check a benchmark on disk against what is known of it; exit status 1 if anything is odd."""
    from metauas.eval.data_check import check_data
    from metauas.eval.data_tables import check_lines, check_table

    found = check_data(name, root, layout=layout, deep=deep)
    _console.print(check_table(found))
    for line in check_lines(found):
        _console.print(line, markup=False, soft_wrap=True)
    if not found.fine:
        sys.exit(1)
    print("nothing odd")


@_data.command(epilog="Examples: metauas data info; metauas data info visa")
def info(name: Annotated[str | None, typer.Argument(help="Benchmark; without it, a table of all.")] = None) -> None:
    """Say where a benchmark comes from, its licence, and how to get, check and evaluate it."""
    from metauas.eval.catalogue import find_source
    from metauas.eval.data_tables import catalogue_table, source_lines

    if name is None:
        _console.print(catalogue_table())
        return
    for line in source_lines(name, find_source(name)):
        _console.print(line, markup=False, soft_wrap=True)


def _from_file(params: Path | None, notebook: str) -> dict[str, Any]:
    """Return what a parameter file says to one notebook; a key that no notebook knows is an error."""
    from metauas.ablations.parameters import read_for_notebooks
    from metauas.notebooks import find_notebooks, suite_file

    if params is None:
        return {}
    given = read_for_notebooks(suite_file(params), find_notebooks())
    values = next(values for path, values in given.items() if path.stem == notebook)
    return {key: value for key, value in values.items() if key not in ("run_dir", "processes")}


def _load_network(checkpoint: str, place: "torch.device", *, single_pass: bool) -> "MetaUAS | ScaleAverage":
    """Load the network that segments files: its mean over three image sizes, or with ``single_pass`` itself."""
    from metauas.model import ScaleAverage, load_checkpoint

    network = load_checkpoint(checkpoint).to(place)
    return network if single_pass else ScaleAverage(network)


def _integers(text: str, *, name: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} {text!r} is not a list of whole numbers; write for example 1,3,5") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _print_evaluation(evaluation: "Evaluation") -> None:
    """Print a table for each definition of the metrics: the network in each category, then every method's mean."""
    from metauas.eval.layouts.samples import MEAN

    for definition in evaluation.definitions():
        cells = evaluation.table(definition=definition)
        categories = [name for name in cells.loc[evaluation.network].index if name != MEAN]
        metrics = list(dict.fromkeys(cells.columns.get_level_values(0)))
        title = f"{evaluation.network}, percent; {definition} metrics; below the line: means over the categories"
        table = Table("", title=title, box=box.HORIZONTALS, pad_edge=False)
        for metric in metrics:
            table.add_column(metric, justify="right", no_wrap=True)
        for category in categories:
            _add_row(table, category, cells.loc[(evaluation.network, category)], metrics)
        table.add_section()
        for method in evaluation.methods():
            _add_row(table, method, cells.loc[(method, MEAN)], metrics)
        _console.print(table)
        for metric, count in evaluation.averaged_over(definition=definition).items():
            if count < len(categories):
                print(f"{metric}: mean over {count} of {len(categories)} categories; in the others it is undefined (–)")


def _add_row(table: Table, name: str, row: Any, metrics: list[str]) -> None:
    from metauas.ablations.collect import format_mean_std

    texts = (format_mean_std(row[metric, "mean"], row[metric, "std"]) for metric in metrics)
    table.add_row(escape(name), *(text.replace(" ± ", "\n±") for text in texts))  # so that 80 columns are enough

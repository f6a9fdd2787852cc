"""Commands that segment single images: segment, calibrate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metauas.cli.options import CHECKPOINT, Checkpoint, Device, NormalImages, Out, SinglePass, Size, Tiles, cli
from metauas.errors import InputError

if TYPE_CHECKING:
    import torch

    from metauas.eval.images.identity import Network


@cli.command(epilog="Example: metauas segment --prompt normal.png part1.png part2.png --out maps")
def segment(
    queries: Annotated[list[Path], typer.Argument(help="Images under test, or folders of them.")],
    prompt: NormalImages,
    out: Out = Path("maps"),
    checkpoint: Checkpoint = CHECKPOINT,
    size: Size = 256,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score above which an image is defective; replaces a calibration."),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="File by `metauas calibrate`, if not the one next to the checkpoint.")
    ] = None,
    scores_only: Annotated[bool, typer.Option("--scores-only", help="Give no verdicts.")] = False,
    single_pass: SinglePass = False,
    tiles: Tiles = False,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run in --out.")] = True,
) -> None:
    """Segment images with one normal image: write a heat-map overlay for each and print its score.

    Also writes scores.csv, results.json, and gallery.html with the highest scores first. With a calibration next to the
    checkpoint, or a threshold, each image is OK or DEFECTIVE, and defective regions are outlined. After a stop, the
    same command segments only the images that are left; after a change of prompt, network or option, it starts again.
    """
    from metauas.eval.images import files
    from metauas.eval.images.calibration import find_calibration
    from metauas.eval.images.identity import run_digest
    from metauas.eval.images.records import Records
    from metauas.files.locks import alone_in
    from metauas.machine import choose_device

    if sum((threshold is not None, calibration is not None, scores_only)) > 1:
        raise InputError("--threshold, --calibration and --scores-only exclude each other; give one of them")
    paths, place = files.find_queries(queries, out=out), choose_device(device)
    overlays = files.plan_overlays(paths, prompts=prompt, out=out)
    uses_calibration = threshold is None and not scores_only
    found = find_calibration(checkpoint, given=calibration) if uses_calibration else None
    model = _load_network(checkpoint, place, single_pass=single_pass, tiles=size if tiles else None)
    if found is not None:
        found.check_fit(model, prompts=prompt, size=size)
        threshold = found.threshold
    records = Records(out, run=run_digest(model, prompts=prompt, size=size, threshold=threshold), resume=resume)
    about = {"prompts": list(map(str, prompt)), "size": size, "tiles": tiles, "threshold": threshold}
    about["calibration"] = found and found.model_dump(mode="json")
    results = []
    with alone_in(out):
        files.remove_results(out)
        for result in files.segment_files(
            model, prompts=prompt, overlays=overlays, size=size, threshold=threshold, records=records
        ):
            columns = (f"{result.score:.4f}", result.verdict, f"{result.query}  ->  {result.overlay}")
            print("  ".join(filter(None, columns)))
            results.append(result)
        written = files.write_results(out, results, about=about)
    print(f"gallery: {written[-1]}", file=sys.stderr)


@cli.command(epilog="Example: metauas calibrate --prompt normal.png good/*.png --rate 0.01")
def calibrate(
    normal: Annotated[
        list[Path],
        typer.Argument(help="Other normal images, or folders of them: at least 99 for a rate of 0.01, 19 for 0.05."),
    ],
    prompt: NormalImages,
    checkpoint: Checkpoint = CHECKPOINT,
    rate: Annotated[
        float, typer.Option(help="False-positive rate: share of normal images above the threshold.")
    ] = 0.01,
    size: Size = 256,
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default calibration.json next to the weights.")
    ] = None,
    single_pass: SinglePass = False,
    tiles: Tiles = False,
    device: Device = "auto",
) -> None:
    """Find the threshold for a false-positive rate from normal images alone; `segment` then gives verdicts."""
    from metauas.eval.images import calibration
    from metauas.eval.images.files import find_queries
    from metauas.machine import choose_device

    images, place = find_queries(normal), choose_device(device)
    calibration.check_enough(len(images), rate)
    model = _load_network(checkpoint, place, single_pass=single_pass, tiles=size if tiles else None)
    found = calibration.calibrate(model, prompts=prompt, normal=images, false_positive_rate=rate, size=size)
    for path in found.left_out:
        print(f"left out: {path}, a copy of a prompt or of another image", file=sys.stderr)
    low, high = found.interval
    print(f"threshold: {found.threshold:.4f}")
    print(f"false positives: at most {100 * rate:g} % on average over calibrations")
    print(f"interval: {100 * low:.2g} % to {100 * high:.2g} % with this one (95 % confidence)")
    print(f"calibration: {calibration.write_calibration(out or calibration.calibration_file(checkpoint), found)}")


def _load_network(checkpoint: str, place: "torch.device", *, single_pass: bool, tiles: int | None) -> "Network":
    """Load the network that segments files: its mean over three image sizes, perhaps in tiles of ``tiles`` pixels."""
    from metauas.model import ScaleAverage, TiledNetwork, load_checkpoint

    network = load_checkpoint(checkpoint).to(place)
    whole = network if single_pass else ScaleAverage(network)
    return TiledNetwork(whole, side=tiles) if tiles else whole

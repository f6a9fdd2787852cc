"""Make the page "What it can and cannot do": numbers and pictures of the package's own benchmark, none typed in.

    python docs/limits.py --checkpoint lite --network 'the released `lite`' --size 256

writes docs/limits/metrics.json, docs/limits/*.jpg and docs/limits.md, which follows from the first alone.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import typer
from matplotlib.figure import Figure

from metauas.eval import EvalSettings, MapGatherer, evaluate, open_benchmark
from metauas.eval.report.gallery import failures_first
from metauas.files import atomic_path, read_json, write_json, write_text
from metauas.model import load_checkpoint
from metauas.plots import show_gallery

DOCS = Path(__file__).parent
FOLDER = DOCS / "limits"
TURNED = 90.0
FAILS = 0.3  # error from which an image counts as a failure
PAGE = """# What it can and cannot do

One prompt says how a normal product looks, so MetaUAS looks for what is *there or not there* in comparison: holes,
spots, missing parts, foreign things. What follows was measured, not chosen: `docs/limits.py` evaluates a network on
Miniature, nine drawn and photographed products that it was never trained on, {images} images at {size} pixels, with one
random prompt each, and writes this page. The network is {network}, with {alignment} alignment.

## How well, product by product

Percent, by the exact definitions; the prompt as it is and turned by {turned:g}°.

| product | I-AUROC | P-AUROC | P-AP | AUPRO | I-AUROC, prompt turned | P-AP, prompt turned |
|---|---:|---:|---:|---:|---:|---:|
{rows}

Best is **{best}**, worst **{worst}**, by P-AP. Turning the prompt costs {lost:.1f} points of P-AP in the mean.

## Failures

Of each product the worst defective and the worst good picture, if their error is at least {fails:g}, largest first (1
minus the average precision of the picture's pixels; for good pictures, the share of defective ones that score lower).
From the left: prompt, query with the true outline, map, and the query with what is above the best threshold of its
product.

![{failures_alt}](limits/failures.jpg)

## Successes

Defective pictures with an error below {fails:g}, of each product the best and the worst.

![{successes_alt}](limits/successes.jpg)

## What follows

- **A thin defect is few of {size} × {size} pixels.** Take a higher resolution, if the network was trained at one.
- **Another pose is not another product**, but it costs; if it costs too much, choose the prompt by the query:
  `--prompt nearest`.
- **What is normal must be in the prompt.** A normal variant that it does not show (another label, another colour) is a
  change, and is marked.
- **Logic is hardly seen**: one part too many finds its like in the prompt, and so does the ground where a part is
  missing.
- **A score is no probability of a defect.** Calibrate it with normal pictures: [tutorial](tutorial.md#2-verdicts).
"""


def main(checkpoint: str = "lite", network: str = "the released `lite`", size: int = 256, seed: int = 1) -> None:
    """Evaluate a checkpoint, in words ``network``, and write the page."""
    model = load_checkpoint(checkpoint)
    benchmark = open_benchmark()
    settings = EvalSettings(seeds=(seed,), size=size, rotations=(0.0, TURNED))
    gatherer = MapGatherer(benchmark, settings, embed=model.embed, worst=1, best=1)
    evaluation = evaluate(model, benchmark, settings, baselines=False, on_maps=gatherer)
    cases = failures_first(gatherer.cases)
    groups = {
        "failures": [case for case in cases if case.error >= FAILS],
        "successes": [case for case in cases if case.error < FAILS and case.label],
    }
    for name, chosen in groups.items():
        _write_jpeg(show_gallery(chosen, across=2), FOLDER / f"{name}.jpg")
    about = {
        "images": sum(len(category.test) for category in benchmark.categories),
        "network": network,
        "alignment": model.config.alignment,
        **{name: [case.title for case in chosen] for name, chosen in groups.items()},
    }
    write_json(FOLDER / "metrics.json", {**evaluation.metrics(), "about": about})
    write_text(DOCS / "limits.md", page(read_json(FOLDER / "metrics.json")))


def page(metrics: dict[str, Any]) -> str:
    """Return the page that goes with ``metrics.json``."""
    plain, turned = (metrics["conditions"][name] for name in metrics["conditions"])
    quality = {name: found["P-AP"]["mean"] for name, found in plain["categories"].items()}
    about = metrics["about"]
    return PAGE.format(
        images=about["images"],
        size=metrics["settings"]["size"],
        network=about["network"],
        alignment=about["alignment"],
        turned=TURNED,
        fails=FAILS,
        rows="\n".join(_row(n, plain["categories"][n], turned["categories"][n]) for n in quality)
        + "\n"
        + _row("**mean**", plain["mean"], turned["mean"]),
        best=max(quality, key=quality.__getitem__),
        worst=min(quality, key=quality.__getitem__),
        lost=100 * (plain["mean"]["P-AP"]["mean"] - turned["mean"]["P-AP"]["mean"]),
        failures_alt="Failures: " + "; ".join(about["failures"]),
        successes_alt="Successes: " + "; ".join(about["successes"]),
    )


def _row(name: str, plain: dict[str, Any], turned: dict[str, Any]) -> str:
    found = [plain[m]["mean"] for m in ("I-AUROC", "P-AUROC", "P-AP", "AUPRO")]
    found += [turned[m]["mean"] for m in ("I-AUROC", "P-AP")]
    return f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in found) + " |"


def _write_jpeg(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, format="jpeg", pil_kwargs={"quality": 80})
    plt.close(figure)


if __name__ == "__main__":
    typer.run(main)

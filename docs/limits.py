"""Make the page "What it can and cannot do": numbers and pictures of the package's own benchmark, all measured.

    python docs/limits.py --checkpoint lite --size 256

writes docs/limits/metrics.json and docs/limits/*.jpg, and from metrics.json alone the page docs/limits.md.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import typer
from matplotlib.figure import Figure

from metauas.eval import EvalSettings, MapGatherer, evaluate, open_benchmark
from metauas.eval.report.figures import show_gallery
from metauas.eval.report.gallery import failures_first
from metauas.files import atomic_path, read_json, write_json, write_text
from metauas.model import ScaleAverage, load_checkpoint

DOCS = Path(__file__).parent
FOLDER = DOCS / "limits"
TURNED = 90.0
FAILS = 0.3  # error from which an image counts as a failure
PAGE = """# What it can and cannot do

One prompt shows how a normal product looks. MetaUAS finds what is *present or absent* in comparison: holes, spots,
missing parts, foreign objects. The results below are measured: `docs/limits.py` evaluates a network and writes this
page. The benchmark is Miniature: nine drawn and photographed products that the network was never trained on. It has
{images} images at {size} pixels and one random prompt per product. The network is {network}, with {alignment}
alignment.

## Results per product

Percent, by the exact definitions, with the prompt as it is and turned by {turned:g}°.

| product | I-AUROC | P-AUROC | P-AP | AUPRO | I-AUROC, prompt turned | P-AP, prompt turned |
|---|---:|---:|---:|---:|---:|---:|
{rows}

By P-AP, **{best}** is best and **{worst}** is worst. Turning the prompt costs {lost:.1f} points of mean P-AP.

## Failures

The worst defective and the worst normal image of each product, if their error is at least {fails:g}, largest error
first. The error of a defective image is 1 minus the average precision of its pixels. The error of a normal image is
the share of defective images with a lower score. From left to right: prompt, query with the true outline, map, and
the regions above the product's best threshold.

![{failures_alt}](limits/failures.jpg)

## Successes

The best and the worst defective image of each product, if their error is below {fails:g}.

![{successes_alt}](limits/successes.jpg)

## What follows

- **A thin defect covers few of {size} × {size} pixels.** Use `--tiles` for large pictures, or a network that was
  trained at a higher resolution.
- **Another pose is not an anomaly, but it costs accuracy.** If it costs too much, choose the prompt by the query:
  `metauas eval --prompt nearest`.
- **The prompt must show what is normal.** A normal variant that it does not show, such as another label or colour, is
  marked as a change.
- **Logical anomalies are hardly found.** The network finds a match in the prompt for an extra part, and for the
  ground where a part is missing.
- **A score is not the probability of a defect.** Calibrate it with normal pictures:
  [tutorial](tutorial.md#2-verdicts).
"""


def main(checkpoint: str = "lite", size: int = 256, seed: int = 1) -> None:
    """Evaluate a checkpoint and write the page."""
    plain = load_checkpoint(checkpoint)
    model = ScaleAverage(plain)  # as `metauas segment` does
    benchmark = open_benchmark()
    settings = EvalSettings(seeds=(seed,), size=size, rotations=(0.0, TURNED))
    gatherer = MapGatherer(benchmark, worst=1, best=1)
    evaluation = evaluate(model, benchmark, settings, baselines=False, on_maps=[gatherer])
    cases = failures_first(gatherer.cases)
    groups = {
        "failures": [case for case in cases if case.error >= FAILS],
        "successes": [case for case in cases if case.error < FAILS and case.label],
    }
    for name, chosen in groups.items():
        _write_jpeg(show_gallery(chosen, across=2), FOLDER / f"{name}.jpg")
    about = {
        "images": sum(len(category.test) for category in benchmark.categories),
        "network": f"`{model.label}`",
        "alignment": plain.config.alignment,
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

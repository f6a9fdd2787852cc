"""How good the released weights are, with variants and baselines: on Miniature, and on folders in MVTec AD's layout.

    python benchmarks/released.py [FOLDER …] [--checkpoint lite] [--size 256] [--card]

``--card`` puts the tables into the model card, so that every number there is measured.
"""

import argparse
from pathlib import Path

import pandas as pd

from metauas.eval import EvalSettings, Evaluation, evaluate, open_benchmark, variants_of
from metauas.files import write_text
from metauas.metrics import METRICS
from metauas.model import load_checkpoint
from metauas.released import resolve_checkpoint

CARD = Path("README.md")
START, END = "<!-- measured by benchmarks/released.py -->", "<!-- end of what was measured -->"


def cell(mean: float, std: float) -> str:
    if mean != mean:  # undefined, such as metrics of pixels without masks
        return "–"
    return f"{100 * mean:.1f} ± {100 * std:.1f}" if std == std else f"{100 * mean:.1f}"


def rows_of(table: pd.DataFrame, names: dict[str, tuple[str, str]]) -> str:
    lines = ["| % | " + " | ".join(METRICS) + " |", "|---|" + "---|" * len(METRICS)]
    for name, place in names.items():
        row = table.loc[place]
        lines.append(f"| {name} | " + " | ".join(cell(row[m, "mean"], row[m, "std"]) for m in METRICS) + " |")
    return "\n".join(lines)


def report(title: str, evaluation: Evaluation) -> str:
    table, settings = evaluation.table(), evaluation.settings
    methods = {f"{method}, mean": (method, "mean") for method in evaluation.methods()}
    network = evaluation.network
    categories = [str(c) for c in table.loc[network].index if c != "mean"]
    noun = "category" if len(categories) == 1 else "categories"
    return "\n\n".join(
        [
            f"### {title}",
            f"{len(categories)} {noun} at {settings.size} px, one random normal prompt, mean ± deviation over "
            f"prompt seeds {', '.join(map(str, settings.seeds))}.",
            rows_of(table, methods),
            f"`{network}` on each category:",
            rows_of(table, {category: (network, category) for category in categories}),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--checkpoint", default="lite")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--card", action="store_true")
    given = parser.parse_args()
    model = load_checkpoint(given.checkpoint)
    settings = EvalSettings(size=given.size, average_scales=True, plus="encoder")
    parts = []
    for source in ("miniature", *map(str, given.folders)):
        benchmark = open_benchmark(
            source, layout="mvtec" if source == "miniature" else "folder"
        )  # masks may be missing
        found = evaluate(model, benchmark, settings, variants=variants_of(model, settings))
        parts.append(report(Path(source).name.capitalize(), found))
        print(parts[-1], flush=True)
    if given.card:
        card = resolve_checkpoint("lite") / CARD
        before, after = card.read_text(encoding="utf-8").split(START)[0], card.read_text(encoding="utf-8").split(END)[1]
        write_text(card, before + START + "\n" + "\n\n".join(parts) + "\n" + END + after)


if __name__ == "__main__":
    main()

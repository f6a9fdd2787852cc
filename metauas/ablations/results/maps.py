"""The anomaly maps of the same queries under each variant of a factor."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metauas.ablations.results.collect import metrics_files
from metauas.errors import InputError
from metauas.files.image_files import open_image, rgb_bytes
from metauas.files.listing import folders_in
from metauas.files.maps import read_map

Pictures = dict[str, dict[str, np.ndarray]]  # variant → prompt, query, map


def show_maps(*folders: str | Path, factor: str, queries: int = 3) -> Figure:
    """Draw a row for each query: the query with the true outline, then each variant's map with its prompt in a corner.

    The maps are those of the first seed that all variants have, scaled by the highest score in the category.

    Args:
        folders: of sweeps, as ``collect_metrics`` takes them.
        factor: the factor whose variants are compared.
        queries: number of queries, one of each category.

    Raises:
        InputError: no seed, or no query, is common to all variants.
    """
    examples = _common_examples(factor, _example_folders(*folders, factor=factor))[:queries]
    variants = list(examples[0][1])
    size = (1.35 * (len(variants) + 1), 1.35 * len(examples) + 0.3)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    panels = figure.subplots(len(examples), len(variants) + 1, squeeze=False)
    for panel, title in zip(panels[0], ["query", *variants], strict=True):
        panel.set_title(title, fontsize=8, pad=3)
    for row, (name, pictures) in zip(panels, examples, strict=True):
        _show(row[0], next(iter(pictures.values()))["query"])
        row[0].set_ylabel(name.split("--")[0], fontsize=8)
        for panel, variant in zip(row[1:], variants, strict=True):
            _show(panel, pictures[variant]["map"])
            _show(panel.inset_axes((0.0, 0.0, 0.32, 0.32)), pictures[variant]["prompt"])
    return figure


def _example_folders(*folders: str | Path, factor: str) -> dict[str, Path]:
    """Return the folder of the examples of each variant, under the first seed that all of them have."""
    found: dict[str, dict[str, Path]] = {}
    for file in metrics_files(*folders):
        own, variant, seed = file.parts[-5:-2]
        if own == factor and (file.parent / "examples").is_dir():
            found.setdefault(variant, {})[seed] = file.parent / "examples"
    seeds = [seed for seed in next(iter(found.values()), {}) if all(seed in runs for runs in found.values())]
    if not seeds:
        raise InputError(f"the variants of {factor!r} have no seed with examples in common; run them under the same")
    return {variant: runs[seeds[0]] for variant, runs in found.items()}


def _common_examples(factor: str, folders: dict[str, Path]) -> list[tuple[str, Pictures]]:
    names = [[path.name for path in folders_in(folder)] for folder in folders.values()]
    common = [name for name in names[0] if all(name in others for others in names)]
    if not common:
        raise InputError(f"the variants of {factor!r} have no query in common; evaluate them on the same categories")
    return [(name, {variant: _read(folder / name) for variant, folder in folders.items()}) for name in common]


def _read(folder: Path) -> dict[str, np.ndarray]:
    pictures = {}
    for name in ("prompt", "query"):
        with open_image(folder / f"{name}.png") as image:
            pictures[name] = rgb_bytes(image)
    return pictures | {"map": read_map(folder / "map.png")}


def _show(panel: Axes, picture: np.ndarray) -> None:
    panel.imshow(picture, cmap="inferno", vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])


def existing(folders: Sequence[str | Path]) -> list[Path]:
    """Return those of the folders that exist."""
    return [Path(folder) for folder in folders if Path(folder).is_dir()]

"""How good networks are on real materials with drawn changes: another picture of the same material is the prompt.

    python benchmarks/textures.py FOLDER [CHECKPOINT …] [--pairs 48] [--size 256] [--preset goods]

Pictures are told apart by their names, as those of KTH-TIPS are: what comes before ``-scale_`` is the material, and
what comes before ``_im_`` its distance; query and prompt are two pictures of one distance, lit or turned otherwise.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from metauas.files.images import list_images, read_image
from metauas.model import load_checkpoint
from metauas.seeding import rng_for
from metauas.synthesis import PairSynthesizer, Picture, Variation, pair_loader
from metauas.synthesis.pictures.crops import resize_view
from metauas.synthesis.recipe import build_synthesizer, read_recipe
from metauas.train import validate
from metauas.train.validation import SHOWN_METRICS


@dataclass(frozen=True)
class Material:
    """A source of pictures of one material, each with another one beside it: lists of files, one for each distance."""

    distances: tuple[tuple[Path, ...], ...]

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        files = self.distances[int(rng.integers(len(self.distances)))]
        image, sibling = (_square(files[k], size=size) for k in rng.permutation(len(files))[:2])
        return Picture(image=image, sibling=sibling, stationary=True, name=files[0].name)


def _square(file: Path, *, size: int) -> np.ndarray:
    image = read_image(file)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side].astype(np.float32) / np.float32(255)
    return resize_view(square, size=size, flip=False)


def materials(folder: Path) -> dict[str, Material]:
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in list_images(folder):
        found[file.name.split("-scale_")[0]][file.name.split("_im_")[0]].append(file)
    pairs = {name: tuple(tuple(f) for f in groups.values() if len(f) > 1) for name, groups in found.items()}
    return {name: Material(groups) for name, groups in pairs.items() if groups}


def synthesizer(material: Material, *, preset: str, size: int) -> PairSynthesizer:
    drawn = build_synthesizer(read_recipe(preset=preset, size=size))
    shares = {"local": 0.5, "unchanged": 0.5}
    return replace(drawn, pictures=material, mixture=shares, variation=Variation.off(), decoys=0.0, zoomed=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("checkpoints", nargs="*", default=["lite"])
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--preset", default="goods")
    given = parser.parse_args()
    for checkpoint in given.checkpoints:
        network, rows = load_checkpoint(checkpoint), {}
        for name, material in materials(given.folder).items():
            make = synthesizer(material, preset=given.preset, size=given.size)
            pairs = [make(rng_for("textures", name, index)) for index in range(given.pairs)]
            rows[name] = validate(network, pair_loader(pairs, batch_size=8))
        table = pd.DataFrame(rows).T[[*SHOWN_METRICS]]
        print(
            checkpoint, pd.concat([table, table.mean().to_frame("mean").T]).round(3).to_string(), sep="\n", flush=True
        )


if __name__ == "__main__":
    main()

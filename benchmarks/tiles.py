"""Hairline cracks on large pictures: resized to one tile, against overlapping tiles at full resolution.

The package draws pairs of specimens of a material. One is the prompt; the other is the query, once as it is and once
with a dark crack of two pixels.

    python benchmarks/tiles.py [--count 8] [--side 2048] [--tile 256] [--checkpoint lite]
"""

import argparse
import time

import cv2
import numpy as np
import torch
from common import print_table
from torch import Tensor
from torch.nn import functional as F

from metauas.metrics import compute_metrics
from metauas.model import MetaUAS, TiledNetwork, load_checkpoint
from metauas.seeding import rng_for
from metauas.synthesis.drawn.surfaces import DrawnSurfaces

WIDTH = 2  # of the crack, pixels
LENGTH = 0.25  # of the crack, as a share of the side


def specimens(number: int, *, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a prompt, a query with a crack and the crack's mask; without the crack the query is normal too."""
    rng = rng_for("tiles", number)
    picture = DrawnSurfaces().draw(rng, size=side)
    assert picture.sibling is not None
    steps = rng.normal(0, 0.5, 60).cumsum() * 0.1 + rng.uniform(0, 2 * np.pi)
    walk = np.stack([np.cos(steps), np.sin(steps)], axis=1).cumsum(axis=0) * LENGTH * side / 60
    points = (walk - walk.mean(axis=0) + side / 2 + rng.uniform(-side / 4, side / 4, 2)).astype(np.int32)
    mask = np.zeros((side, side), np.uint8)
    cv2.polylines(mask, [points], isClosed=False, color=1, thickness=WIDTH)
    return picture.image, picture.sibling, mask


def as_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


@torch.no_grad()
def resized_map(network: MetaUAS, query: Tensor, prompt: Tensor, *, side: int) -> Tensor:
    """Return the map of the images resized to one tile, enlarged to the query's size."""
    small = (F.interpolate(x, size=(side, side), mode="bilinear", antialias=True) for x in (query, prompt))
    return F.interpolate(network.segment(*small), size=query.shape[-2:], mode="bilinear")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--checkpoint", default="lite")
    given = parser.parse_args()
    network = load_checkpoint(given.checkpoint)
    tiled = TiledNetwork(network, side=given.tile)
    ways = {
        f"resized to {given.tile} px": lambda q, p: resized_map(network, q, p, side=given.tile),
        tiled.label: tiled.segment,
    }
    maps: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    masks = []
    for number in range(given.count):
        prompt, normal, mask = specimens(number, side=given.side)
        cracked = np.where(mask[..., None] > 0, 0.6 * normal, normal)
        for query, truth in ((normal, np.zeros_like(mask)), (cracked, mask)):
            masks.append(truth > 0)
            for name, segment in ways.items():
                start = time.perf_counter()
                maps[name].append(segment(as_tensor(query), as_tensor(prompt))[0, 0].numpy())
                seconds[name] += time.perf_counter() - start
    truths = np.stack(masks)
    rows = []
    for name, found in maps.items():
        metrics = compute_metrics(np.stack(found), truths, truths.any(axis=(1, 2)))
        row = {"way": name, "seconds a picture": seconds[name] / len(truths)}
        rows.append(row | {metric: metrics[metric] for metric in ("I-AUROC", "P-AUROC", "P-AP", "AUPRO")})
    print_table(rows, title=f"Cracks of {WIDTH} px on {given.count} drawn surfaces of {given.side} px")


if __name__ == "__main__":
    main()

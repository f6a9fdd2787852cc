"""Hairline cracks on large pictures: resized to one tile, against overlapping tiles at full resolution.

The package draws pairs of specimens of a material. One is the prompt; the other is the query, once as it is and once
with a dark crack of two pixels.

    python benchmarks/tiles.py [--count 5] [--side 2048] [--tile 256] [--checkpoint lite]
"""

import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
import typer
from common import Row, report
from torch import Tensor
from torch.nn import functional as F

from metauas.metrics import compute_metrics
from metauas.model import MetaUAS, TiledNetwork, load_checkpoint
from metauas.seeding import rng_for
from metauas.synthesis.drawn.surfaces import DrawnSurfaces

WIDTH = 2  # of the crack, pixels
LENGTH = 0.25  # of the crack, as a share of the side
DARKENED = 0.6  # the crack's brightness, as a share of the surface's


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


def compare(network: MetaUAS, *, count: int, side: int, tile: int) -> dict[str, dict[str, list[float]]]:
    """Return for each way the seconds and metrics of every picture: once normal, once cracked."""
    tiled = TiledNetwork(network, side=tile)
    ways = {"resized": lambda q, p: resized_map(network, q, p, side=tile), "tiles": tiled.segment}
    found: dict[str, dict[str, list[float]]] = {way: defaultdict(list) for way in ways}
    for number in range(count):
        prompt, normal, mask = specimens(number, side=side)
        queries = normal, np.where(mask[..., None] > 0, DARKENED * normal, normal)
        for way, segment in ways.items():
            maps = []
            for query in queries:
                start = time.perf_counter()
                maps.append(segment(as_tensor(query), as_tensor(prompt))[0, 0].numpy())
                found[way]["seconds"].append(time.perf_counter() - start)
            metrics = compute_metrics(np.stack(maps), np.stack([0 * mask, mask]) > 0, np.array([False, True]))
            for name, value in metrics.items():
                found[way][name].append(100 * value)
    return found


def main(count: int = 5, side: int = 2048, tile: int = 256, checkpoint: str = "lite", out: Path | None = None) -> None:
    found = compare(load_checkpoint(checkpoint), count=count, side=side, tile=tile)
    ours, resized = found["tiles"], found["resized"]
    what, against = f"crack of {WIDTH} px in a picture of {side} px, tiles of {tile} px", f"resized to {tile} px"
    rows = [
        Row(what=f"{name}, {what}", unit="%", ours=ours[name], against=against, reference=resized[name], more=True)
        for name in ("P-AUROC", "P-AP")
    ]
    seconds = Row(what=what, unit="s", ours=ours["seconds"], against=against, reference=resized["seconds"])
    report([*rows, seconds], out=out)


if __name__ == "__main__":
    typer.run(main)

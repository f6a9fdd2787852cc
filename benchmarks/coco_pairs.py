"""Object-level pairs from photographs with object masks, by way of COCO's format: milliseconds a pair, and pictures.

python benchmarks/coco_pairs.py --data FOLDER [--out FOLDER] [--pairs 50] [--size 256]

FOLDER holds images/<stem>.jpg and masks/<stem>_<k>.png, one mask an object. They are written as COCO JSON, half as
polygons and half as run lengths, and read back as COCO itself would be.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from pycocotools import mask as coco

from metauas.files.images import list_images, read_mask
from metauas.plots import save_figure
from metauas.seeding import rng_for
from metauas.synthesis import CocoPictures, Inpainter, LamaInpainter, OpenCVInpainter, PairSynthesizer
from metauas.synthesis.inspection.figures import show_pairs, show_pictures
from metauas.synthesis.pairs import OBJECT_KINDS


def write_coco(data: Path, target: Path) -> Path:
    """Write the masks of ``data`` as COCO's instance annotations."""
    by_stem = defaultdict(list)
    for file in list_images(data / "masks"):
        by_stem[file.stem.rpartition("_")[0]].append(read_mask(file))
    images, annotations = [], []
    for number, file in enumerate(f for f in list_images(data / "images") if f.stem in by_stem):
        masks = by_stem[file.stem]
        height, width = masks[0].shape
        images.append({"id": number, "file_name": file.name, "height": height, "width": width})
        for mask in masks:
            outline = polygons(mask) if len(annotations) % 2 else run_lengths(mask)
            item = {"id": len(annotations), "image_id": number, "iscrowd": 0, "segmentation": outline}
            annotations.append(item)
    target.write_text(json.dumps({"images": images, "annotations": annotations}))
    return target


def polygons(mask: np.ndarray) -> list[list[float]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = [contour.ravel().astype(float).tolist() for contour in contours if len(contour) >= 3]
    return found or run_lengths(mask)


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


def measure(
    pictures: CocoPictures, kind: str, inpainter: Inpainter, *, pairs: int, size: int
) -> tuple[list[Any], dict]:
    synthesize = PairSynthesizer(pictures, size=size, mixture={kind: 1.0}, inpainter=inpainter)
    begin = time.perf_counter()
    made = [synthesize(rng_for("coco", kind, number)) for number in range(pairs)]
    spent = (time.perf_counter() - begin) / pairs * 1000
    marked = np.array([pair.mask.mean().item() for pair in made])
    row = {"kind": kind, "ms / pair": spent, "marked, median %": np.median(marked) * 100}
    return made, row | {"without change": sum(pair.kind == "unchanged" for pair in made)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--lama", type=Path, help="LaMa's TorchScript file; by default OpenCV inpaints")
    given = parser.parse_args()
    if given.data is None or not (given.data / "masks").is_dir():
        print(f"skipped: --data={given.data} has no folder images and masks/<stem>_<k>.png")
        return
    inpainter = LamaInpainter(given.lama) if given.lama else OpenCVInpainter()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        annotations = write_coco(given.data, Path(folder) / "instances.json")
        begin = time.perf_counter()
        pictures = CocoPictures(annotations, given.data / "images")
        spent = time.perf_counter() - begin
        objects = len(pictures.index.start) - 1
        print(f"{len(pictures)} photographs with {objects} objects indexed in {spent:.1f} s")
    rows = []
    for kind in OBJECT_KINDS:
        made, row = measure(pictures, kind, inpainter, pairs=given.pairs, size=given.size)
        rows.append(row)
        if given.out:
            save_figure(show_pairs(made, across=4), given.out / f"{kind}.png")
    if given.out:
        drawn = [pictures.draw(rng_for("crop", number), size=given.size) for number in range(given.pairs)]
        save_figure(show_pictures(drawn, across=10), given.out / "crops.png")
    print(f"object-level pairs of {given.size} px, one core\n\n{pd.DataFrame(rows).round(2).to_string(index=False)}")


if __name__ == "__main__":
    main()

"""Speed and memory of the metrics, each as a ratio to references that run in the same process.

python benchmarks/metrics.py [--sizes 256 512] [--images 100] [--repeats 3] [--out FILE.json]

The references are written here in plain code: the procedure of the author's evaluation script (scikit-learn's curves,
then 200 thresholds with scikit-image's regions), and exact values (scikit-learn's six, then AUPRO over all thresholds).
All run on the same images; the references take minutes of the default sizes, so give fewer --images for a first look.
"""

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from common import cpu_seconds, peak_bytes, print_table, ratio_rows
from skimage import measure
from sklearn import metrics as sk

from metauas.files import write_json
from metauas.metrics import METRICS, StreamingMetrics, compute_metrics, compute_metrics_official
from metauas.seeding import rng_for

OURS, EXACT, OFFICIAL, STREAMING = "ours", "scikit-learn and exact AUPRO", "official procedure", "ours, streaming"
Category = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_category(n_images: int, size: int, *, seed: int = 0) -> Category:
    """Return maps as a network gives them (smooth noise, blurred defects, sigmoid), masks and labels."""
    rng = rng_for(seed, n_images, size)
    rows, columns = np.mgrid[:size, :size]
    maps = np.empty((n_images, size, size), dtype=np.float32)
    masks = np.zeros(maps.shape, dtype=np.bool_)
    for index in range(n_images):
        for _ in range(index % 2 * int(rng.integers(1, 4))):  # every second image is anomalous
            (y, x), (a, b) = rng.uniform(0, size, 2), rng.uniform(size / 25, size / 6, 2)
            masks[index] |= ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1
        noise = cv2.GaussianBlur(rng.standard_normal((size, size), dtype=np.float32), (0, 0), size / 40)
        defects = cv2.GaussianBlur(masks[index].astype(np.float32), (0, 0), size / 60)
        maps[index] = 1 / (1 + np.exp(5 - 1.5 * noise / noise.std() - 6 * defects))
    return maps, masks, masks.any(axis=(1, 2))


def scikit_learn_six(scores: np.ndarray, labels: np.ndarray, maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """AUROC, AP and F1max of images and pixels from scikit-learn's curves."""
    values = []
    for truth, ranked in ((labels, scores), (masks.ravel(), maps.ravel())):
        rates, recalls, _ = sk.roc_curve(truth, ranked)
        precision, recall, _ = sk.precision_recall_curve(truth, ranked)
        f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
        values += [sk.auc(rates, recalls), sk.average_precision_score(truth, ranked), f1.max()]
    return dict(zip(METRICS, map(float, values), strict=False))


def exact_metrics(maps: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All seven, exact, from scikit-learn and one sort of all pixels."""
    return {**scikit_learn_six(maps.max(axis=(1, 2)), labels, maps, masks), "AUPRO": exact_aupro(maps, masks)}


def exact_aupro(maps: np.ndarray, masks: np.ndarray, *, limit: float = 0.3) -> float:
    """AUPRO from the curve over all thresholds."""
    shares, n_regions = np.zeros(maps.shape), 0
    for share, mask in zip(shares, masks, strict=True):
        for region in measure.regionprops(measure.label(mask)):
            share[tuple(region.coords.T)] = 1 / region.area
            n_regions += 1
    order = np.argsort(maps, axis=None)[::-1]
    last_of_tie = np.flatnonzero(np.diff(maps.ravel()[order], append=-np.inf))
    normal = ~masks.ravel()[order]
    rate = np.append(0, np.cumsum(normal)[last_of_tie] / normal.sum())
    overlap = np.append(0, np.cumsum(shares.ravel()[order])[last_of_tie] / n_regions)
    beyond = int(np.argmax(rate >= limit))  # the first point at or beyond the limit; the curve is cut before it
    part = (limit - rate[beyond - 1]) / (rate[beyond] - rate[beyond - 1])
    at_limit = overlap[beyond - 1] + part * (overlap[beyond] - overlap[beyond - 1])
    return float(np.trapezoid([*overlap[:beyond], at_limit], [*rate[:beyond], limit]) / limit)


def official_procedure(maps: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All seven, step by step as the author's script takes them, masks in float32 as there."""
    scaled = (maps - maps.min()) / (maps.max() - maps.min())
    values = scikit_learn_six(scaled.max(axis=(1, 2)), labels, scaled, masks)
    for name in ("I-AUROC", "P-AUROC"):
        values[name] = max(values[name], 1 - values[name])
    return {**values, "AUPRO": official_aupro(scaled, masks.astype(np.float32))}


def official_aupro(scaled: np.ndarray, masks: np.ndarray) -> float:
    """AUPRO at 200 thresholds, the regions found anew at each as the script does."""
    step = (scaled.max() - scaled.min()) / 200
    rates, overlaps = [], []
    for threshold in np.arange(scaled.min(), scaled.max(), step):
        detected = scaled > threshold
        shares = [
            found[tuple(region.coords.T)].sum() / region.area
            for found, mask in zip(detected, masks, strict=True)
            for region in measure.regionprops(measure.label(mask))
        ]
        overlaps.append(np.mean(shares))
        rates.append(np.logical_and(1 - masks, detected).sum() / (1 - masks).sum())
    rate, overlap = np.array(rates), np.array(overlaps)
    kept = rate < 0.3
    rate, overlap = rate[kept], overlap[kept]
    return float(sk.auc((rate - rate.min()) / (rate.max() - rate.min()), overlap))


def stream(maps: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All seven from the streaming accumulator."""
    streaming = StreamingMetrics()
    for image in zip(maps, masks, labels, strict=True):
        streaming.update(*image)
    return streaming.result()


def difference(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the largest difference of any metric."""
    return max(abs(one[name] - other[name]) for name in METRICS)


def speed(size: int, *, n_images: int, repeats: int) -> list[dict[str, Any]]:
    """Time everything on the same images, and say how far each is from what it should equal."""
    category = make_category(n_images, size)
    results: dict[str, dict[str, float]] = {}

    def run(name: str, function: Any, times: int) -> float:
        return cpu_seconds(lambda: results.update({name: function(*category)}), times)

    seconds = {
        OURS: run(OURS, compute_metrics, repeats),
        STREAMING: run(STREAMING, stream, repeats),
        EXACT: run(EXACT, exact_metrics, 1),
        OFFICIAL: run(OFFICIAL, official_procedure, 1),
    }
    errors = {name: difference(results[name], results[OURS]) for name in (OURS, STREAMING, EXACT)}
    errors[OFFICIAL] = difference(results[OFFICIAL], compute_metrics_official(*category))
    sizes = {"px": size, "images": len(category[0])}
    return [{**sizes, **row, "difference": errors[row["name"]]} for row in ratio_rows(seconds, base=OURS)]


def memory(size: int, *, n_images: int) -> list[dict[str, Any]]:
    """Measure the extra memory of ours and of streaming, for half and twice the images."""
    rows = []
    for images in (n_images // 2, n_images, 2 * n_images):
        category = make_category(images, size)
        exact, scores = compute_metrics(*category), category[0].nbytes
        for name, function in ((OURS, compute_metrics), (STREAMING, stream)):
            peak = peak_bytes(lambda function=function, category=category: function(*category))
            error = difference(function(*category), exact)
            row = {
                "px": size,
                "images": images,
                "name": name,
                "extra MiB": peak / 2**20,
                "extra / scores": peak / scores,
            }
            rows.append({**row, "difference": error})
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Print the tables; write them as JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="sides of the maps in pixels")
    parser.add_argument("--images", type=int, default=100, help="maps of each size, half of them with defects")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours, of which the fastest counts")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args(arguments)
    timed = [row for size in options.sizes for row in speed(size, n_images=options.images, repeats=options.repeats)]
    print_table(
        timed, "CPU seconds of all seven metrics; difference: to ours, of the official procedure to our variant of it"
    )
    held = [row for size in options.sizes for row in memory(size, n_images=options.images)]
    print_table(held, "Memory beside what is given; difference: to the exact values")
    if options.out:
        write_json(options.out, {"speed": timed, "memory": held})


if __name__ == "__main__":
    main()

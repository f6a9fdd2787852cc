"""CPU seconds of the seven metrics, against references that run in turns in the same process.

    python benchmarks/metrics.py [--size 256] [--images 8] [--rounds 5]

The references are written here in plain code: the procedure of the author's evaluation script (scikit-learn's curves,
then 200 thresholds with scikit-image's regions), and exact values (scikit-learn's six, then AUPRO over all thresholds).
All run on the same images, and their values are compared first.
"""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import typer
from common import Row, cpu, in_turns, report
from skimage import measure
from sklearn import metrics as sk

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


def check(results: dict[str, dict[str, float]], category: Category) -> None:
    """Check that ours are the exact values, and that our official variant is the official procedure."""
    pairs = {"exact": (results[EXACT], results[OURS], 1e-9), "streaming": (results[STREAMING], results[OURS], 1e-4)}
    pairs["official"] = (results[OFFICIAL], compute_metrics_official(*category), 1e-9)
    for name, (found, expected, tolerance) in pairs.items():
        off = {metric: abs(found[metric] - expected[metric]) for metric in METRICS}
        assert max(off.values()) <= tolerance, f"{name} values differ: {off}"


def main(size: int = 256, images: int = 8, rounds: int = 5, out: Path | None = None) -> None:
    category = make_category(images, size)
    ways = {OURS: compute_metrics, STREAMING: stream, EXACT: exact_metrics, OFFICIAL: official_procedure}
    check({name: way(*category) for name, way in ways.items()}, category)
    seconds = in_turns({name: cpu(lambda way=way: way(*category)) for name, way in ways.items()}, rounds=rounds)
    what = f"seven metrics of {images} maps of {size} px, one core"
    rows = [Row(what=what, unit="s", ours=seconds[OURS], against=r, reference=seconds[r]) for r in (OFFICIAL, EXACT)]
    report(rows, out=out)


if __name__ == "__main__":
    typer.run(main)

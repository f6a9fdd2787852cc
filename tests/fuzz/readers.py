"""Every reader of the package, with whole files to begin from: a folder is made once, and one file of it is damaged."""

import csv
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from metauas.ablations.notebooks import declared_parameters, find_notebooks
from metauas.ablations.parameters import read_for_notebooks
from metauas.errors import InputError
from metauas.eval.benchmarks.layouts import list_benchmark
from metauas.eval.images.calibration import read_calibration
from metauas.eval.images.records import RECORDS_NAME, Records, SegmentedFile
from metauas.eval.prompts.files import prompts_from_file
from metauas.files.images import read_image, read_mask, write_png
from metauas.files.maps import read_map, write_map
from metauas.model import create_model, load_checkpoint, save_checkpoint
from metauas.model.share.results import read_results
from metauas.model.weights.checkpoint import read_tensors
from metauas.model.weights.pretrained import create_timm
from metauas.model.weights.torch_files import read_state_dict
from metauas.synthesis import WrittenPairs, read_recipe, write_pairs
from metauas.synthesis.pictures.coco_json import decode, read_instances, run_lengths
from metauas.synthesis.pictures.masked_folder import read_labels
from metauas.synthesis.written.cyws import draw_polygons, read_annotations, read_ids


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
        make: writes whole files into an empty folder and returns those to be damaged.
        read: reads what is in a damaged file, in the place of the whole one, to the last value.
        costly: milliseconds rather than parts of one, so that a sample takes fewer of it.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]
    costly: bool = False


# --- images


def _pictures(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    colours = Image.fromarray(np.kron(rng.integers(0, 256, (4, 5, 3)), np.ones((5, 6, 1))).astype(np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (9, 11), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = colours.quantize(8)
    colours.save(folder / "colours.png")
    colours.save(folder / "turned.jpg", exif=exif)
    colours.save(folder / "turned.png", exif=exif)
    colours.convert("CMYK").save(folder / "print.jpg")
    colours.convert("RGBA").save(folder / "alpha.png")
    colours.convert("L").save(folder / "grey.jpg", progressive=True)
    colours.save(folder / "a.bmp")
    colours.save(folder / "packed.tif", compression="tiff_lzw")
    colours.save(folder / "plain.tif", exif=exif)
    colours.save(folder / "a.webp", exif=exif)
    colours.convert("1").save(folder / "one.png")
    palette.save(folder / "palette.png", transparency=bytes(range(0, 256, 32)))
    palette.save(folder / "palette.bmp")
    deep.save(folder / "deep.png")
    deep.save(folder / "deep.tif")
    deep.save(folder / "deep.pgm")
    colours.save(folder / "a.ppm")
    palette.save(folder / "a.gif")
    return sorted(folder.iterdir())


def _map(folder: Path) -> list[Path]:
    return [write_map(folder / "map.png", np.linspace(0, 1, 99, dtype=np.float32).reshape(9, 11))]


# --- checkpoints


def _safetensors(folder: Path) -> list[Path]:
    tensors = {"weight": torch.arange(12.0).reshape(3, 4), "count": torch.tensor(3), "half": torch.ones(2).half()}
    save_file(tensors, folder / "a.safetensors", metadata={"config": '{"preset": "lite"}', "format": "pt"})
    return [folder / "a.safetensors"]


def _checkpoint(folder: Path) -> list[Path]:
    torch.manual_seed(0)
    return [save_checkpoint(create_model("lite"), folder) / "model.safetensors"]


def _torch_files(folder: Path) -> list[Path]:
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3).t(), "n": torch.tensor(3)}
    whole = {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1, "of": [Path("x")]}}
    torch.save(whole, folder / "zip.ckpt")
    torch.save(state, folder / "zip.pth")
    torch.save(whole, folder / "legacy.ckpt", _use_new_zipfile_serialization=False)
    return sorted(folder.iterdir())


# --- CYWS and COCO

_POLYGON = {"segmentation": [[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]], "bbox": [1, 1, 8, 8], "id": 7, "image_id": 1}


def _cyws(folder: Path) -> list[Path]:
    annotations = [_POLYGON, {**_POLYGON, "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]], "area": np.float64(3.0)}]
    np.save(folder / "annotations.npy", np.array(annotations, dtype=object), allow_pickle=True)
    (folder / "listed").mkdir()
    np.save(folder / "listed" / "list_of_indices.npy", np.arange(40))
    for protocol in (3, 4, 5):
        splits = {"train": np.arange(5), "val": ["000000000009"], "test": np.array(["a", "b"])}
        (folder / f"protocol{protocol}").mkdir()
        (folder / f"protocol{protocol}" / "data_split.pkl").write_bytes(pickle.dumps(splits, protocol=protocol))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read_cyws(path: Path) -> Any:
    if path.name.startswith("annotations"):
        return draw_polygons(read_annotations(path), shape=(16, 16), origin=path)
    return read_ids(path.parent, split="train")


def _coco(folder: Path) -> list[Path]:
    image = {"id": 1, "file_name": "a.png", "height": 16, "width": 16}
    plain = {"size": [16, 16], "counts": [40, 8, 208]}
    packed = {"size": [16, 16], "counts": "X1`0X6"}
    annotations = [_POLYGON, {**_POLYGON, "segmentation": plain}, {**_POLYGON, "segmentation": packed, "iscrowd": 0}]
    (folder / "coco.json").write_text(json.dumps({"images": [image], "annotations": annotations}))
    return [folder / "coco.json"]


def _read_coco(path: Path) -> Any:
    instances = read_instances(path)
    if instances.left_out:
        raise InputError(f"{path}: {instances.left_out[0]}")
    for image in instances.images:
        shape = (min(image["height"], 64), min(image["width"], 64))
        for annotation in instances.annotations[image["id"]]:
            decode(run_lengths(annotation, shape=shape, left_out=[]))


# --- benchmarks


def _white(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), 255).save(path)
    return path


def _visa(folder: Path) -> list[Path]:
    for name in ("0.png", "1.png", "2.png", "mask.png"):
        _white(folder / "candle" / name)
    rows = [("candle", "train", "normal", "candle/0.png", ""), ("candle", "test", "normal", "candle/1.png", "")]
    rows += [("candle", "test", "anomaly", "candle/2.png", "candle/mask.png")]
    (folder / "split_csv").mkdir()
    with (folder / "split_csv" / "1cls.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("object", "split", "label", "image", "mask"), *rows])
    return [folder / "split_csv" / "1cls.csv"]


def _realiad(folder: Path) -> list[Path]:
    for name in ("0.png", "1.png", "2.png", "mask.png"):
        _white(folder / "realiad_1024" / "audiojack" / name)
    entry = {"category": "audiojack", "anomaly_class": "OK", "image_path": "0.png", "mask_path": None}
    bad = {**entry, "anomaly_class": "AK", "image_path": "2.png", "mask_path": "mask.png"}
    content = {
        "meta": {"prefix": "audiojack/", "normal_class": "OK"},
        "train": [entry],
        "test": [{**entry, "image_path": "1.png"}, bad],
    }
    (folder / "realiad_jsons").mkdir()
    (folder / "realiad_jsons" / "audiojack.json").write_text(json.dumps(content))
    return [folder / "realiad_jsons" / "audiojack.json"]


def _read_layout(layout: str) -> Callable[[Path], Any]:
    return lambda path: list_benchmark(path.parents[1], layout=layout)


def _prompts(folder: Path) -> list[Path]:
    for name in (
        "train/good/0.png",
        "train/good/1.png",
        "test/good/0.png",
        "test/cut/0.png",
        "ground_truth/cut/0_mask.png",
    ):
        _white(folder / "bottle" / name)
    files = folder / "files"
    files.mkdir()
    one = {"bottle": {"filename": "bottle/train/good/0.png", "label": 0, "clsname": "bottle"}}
    (files / "one.json").write_text(json.dumps(one))
    lines = [
        {f"bottle/test/{kind}/0.png": ["bottle/train/good/1.png", "bottle/train/good/0.png"]}
        for kind in ("good", "cut")
    ]
    (files / "top.json").write_text("\n".join(map(json.dumps, lines)))
    (files / "some.csv").write_text("category,filename\nbottle,bottle/train/good/0.png\n")
    return sorted(files.iterdir())


def _read_prompts(path: Path) -> Any:
    benchmark, _ = list_benchmark(path.parents[1], ["bottle"], layout="mvtec")
    return prompts_from_file(path, benchmark)


# --- settings


def _parameters(folder: Path) -> list[Path]:
    (folder / "a.yaml").write_text("size: 96\nsteps: 200\nlearning_rate: 1.0e-3\nseeds: [1, 3]\nalignment: soft\n")
    return [folder / "a.yaml"]


def _recipe(folder: Path) -> list[Path]:
    lines = ["preset: offline", "count: 24", "opacity: [0.1, 1.0]", "mixture: {local: 0.5, exchange: 0.5}"]
    lines += ["variation: {noise: 0.1}", "pictures:", "  drawn_scenes: 1.0", "inpainter: telea"]
    (folder / "recipe.yaml").write_text("\n".join(lines))
    return [folder / "recipe.yaml"]


def _calibration(folder: Path) -> list[Path]:
    digest = "0" * 64
    value = {"threshold": 0.5, "false_positive_rate": 0.1, "interval": [0.0, 0.2], "images": 9, "size": 96}
    value |= {"prompts": ["a.png"], "prompts_digest": digest, "weights_digest": digest}
    (folder / "calibration.json").write_text(json.dumps(value))
    return [folder / "calibration.json"]


def _notebook(folder: Path) -> list[Path]:
    cell = {"cell_type": "code", "source": ["size: int = 96\n", "name = 'a'"], "metadata": {"tags": ["parameters"]}}
    (folder / "01_a.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    return [folder / "01_a.ipynb"]


def _results(folder: Path) -> list[Path]:
    value = {"mean": {"P-AP": {"mean": 0.5, "std": 0.1}, "AUPRO": {"mean": None}}, "settings": {"size": 96}}
    (folder / "metrics.json").write_text(json.dumps(value))
    return [folder / "metrics.json"]


def _record(folder: Path) -> list[Path]:
    query, overlay = (write_png(folder / name, np.zeros((4, 4, 3))) for name in ("a.png", "a_overlay.png"))
    Records(folder, run="0").add(SegmentedFile(query=query, overlay=overlay, score=0.5, verdict="OK"))
    return [folder / RECORDS_NAME / "a_overlay.json"]


def _find_record(path: Path) -> None:
    """Find a damaged record: it comes back whole, or the query is segmented again."""
    folder = path.parents[1]
    found = Records(folder, run="0").find(folder / "a.png", folder / "a_overlay.png")
    if found is None:
        raise InputError(f"{path} does not apply")
    assert (found.score, found.verdict) == (0.5, "OK")


# --- written pairs


def _shard(folder: Path) -> list[Path]:
    write_pairs(
        read_recipe(size=16, count=2, validation_share=0.0, pictures={"drawn_textures": 1.0}), folder, workers=0
    )
    return sorted(folder.glob("train/*.parquet"))


def _read_shard(path: Path) -> Any:
    pairs = WrittenPairs(path.parents[1])
    return [pairs[index] for index in range(min(len(pairs), 4))]


READERS: dict[str, Reader] = {
    "image": Reader(_pictures, read_image),
    "mask": Reader(_pictures, read_mask),
    "labels": Reader(_pictures, read_labels),
    "map": Reader(_map, read_map),
    "safetensors": Reader(_safetensors, read_tensors),
    "checkpoint": Reader(_checkpoint, load_checkpoint, costly=True),
    "torch file": Reader(_torch_files, lambda path: read_state_dict(path, hint="a checkpoint")),
    "timm weights": Reader(_torch_files, lambda path: create_timm("resnet10t", weights=str(path)), costly=True),
    "cyws": Reader(_cyws, _read_cyws),
    "coco": Reader(_coco, _read_coco),
    "visa": Reader(_visa, _read_layout("visa")),
    "real-iad": Reader(_realiad, _read_layout("real-iad")),
    "prompt file": Reader(_prompts, _read_prompts),
    "parameters": Reader(_parameters, lambda path: read_for_notebooks(path, find_notebooks())),
    "recipe": Reader(_recipe, read_recipe),
    "calibration": Reader(_calibration, read_calibration),
    "notebook": Reader(_notebook, declared_parameters),
    "results": Reader(_results, lambda path: read_results({"MVTec AD": path})),
    "record": Reader(_record, _find_record),
    "shard": Reader(_shard, _read_shard),
}

"""One small benchmark as many tools write it: the same numbers, or a word that names the cause.

``python tests/fuzz/variants.py --count 250 --work FOLDER`` tries so many; `make test` takes a few.
"""

import argparse
import csv
import json
import logging
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from metauas.errors import InputError
from metauas.eval import read_benchmark
from metauas.eval.baselines import pixel_difference
from metauas.eval.benchmarks.queries import Queries
from metauas.files.images import stack_images
from metauas.metrics import compute_metrics
from metauas.metrics.official import compute_metrics_official

SIZE = 64
#: How far a metric, of 1, may be from that of the clean benchmark: a lossy picture changes the order of a few pixels, a
#: lossy or soft mask a few of the 250 that it marks.
TOLERANCE = 0.02

Save = Callable[[Image.Image, Path], None]
Metrics = dict[str, float]


def _as(suffix: str, **options: object) -> Save:
    return lambda image, path: image.save(path.with_suffix(suffix), **options)


def _deep(shift: int, suffix: str) -> Save:
    def save(image: Image.Image, path: Path) -> None:
        values = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(values >> shift).save(path.with_suffix(suffix))

    return save


def _jpeg_in_png(image: Image.Image, path: Path) -> None:
    image.save(path.with_suffix(".jpg"), quality=85)
    Image.open(path.with_suffix(".jpg")).save(path.with_suffix(".png"))
    path.with_suffix(".jpg").unlink()


def _palette(image: Image.Image, path: Path) -> None:
    indices = image.point(lambda grey: 1 if grey else 0)
    indices.putpalette([0, 0, 0, 200, 30, 40])
    indices.save(path.with_suffix(".png"))


def _blurred(image: Image.Image, path: Path) -> None:
    image.filter(ImageFilter.GaussianBlur(0.7)).save(path.with_suffix(".png"))


def _alpha(image: Image.Image, path: Path) -> None:
    Image.merge("LA", (Image.new("L", image.size, 255), image)).save(path.with_suffix(".png"))


def _colour(image: Image.Image, path: Path) -> None:
    black = Image.new("L", image.size)
    Image.merge("RGB", (image, black, black)).save(path.with_suffix(".png"))


def _point(value: Callable[[int], int], suffix: str = ".png", **options: object) -> Save:
    return lambda image, path: image.point(value).save(path.with_suffix(suffix), **options)


def _bits(image: Image.Image, path: Path) -> None:
    image.convert("1").save(path.with_suffix(".png"))


#: How pictures are saved.
PICTURES: dict[str, Save] = {
    **{suffix: _as(suffix) for suffix in (".png", ".PNG", ".bmp", ".Tif", ".tiff", ".ppm", ".pgm", ".gif", ".apng")},
    **{suffix: _as(suffix, quality=98) for suffix in (".jpg", ".JPG", ".jpeg", ".jfif", ".Jpe")},
    ".webp": _as(".webp", lossless=True),
    "grey of 16 bits": _deep(0, ".png"),
    "grey of 16 bits in TIFF": _deep(0, ".tif"),
    "palette": lambda image, path: image.convert("L").convert("P").save(path.with_suffix(".png")),
    "transparent": lambda image, path: image.convert("RGBA").save(path.with_suffix(".png")),
}
#: Those about which something must be said, with a word of it.
ODD_PICTURES: dict[str, tuple[Save, str]] = {
    "10 bits": (_deep(6, ".png"), "16 bits a channel"),
    "12 bits": (_deep(4, ".tif"), "16 bits a channel"),
    "not read": (_as(".jp2"), "not read|holds no image|cannot be read as an image"),
}
#: How masks are saved.
MASKS: dict[str, Save] = {
    **{suffix: _as(suffix) for suffix in (".png", ".PNG", ".bmp", ".tif", ".pgm", ".gif")},
    "of 1": _point(lambda grey: 1 if grey else 0),
    "of 250": _point(lambda grey: 250 if grey else 0),
    "one bit": _bits,
    "16 bits": _deep(0, ".png"),
    "JPEG": _as(".jpg", quality=90),
    "poor JPEG": _as(".jpeg", quality=60),
    "once JPEG": _jpeg_in_png,
    "lossy WebP": _as(".webp", quality=85),
    "soft": _blurred,
    "alpha": _alpha,
    "palette": _palette,
    "red": _colour,
}
ODD_MASKS: dict[str, tuple[Save, str]] = {
    "inside out": (_point(lambda grey: 255 - grey), "inside out"),
    "inside out JPEG": (_point(lambda grey: 255 - grey, ".jpg", quality=95), "inside out"),
    "white": (_point(lambda _: 255), "marks 100 %"),
    "faint JPEG": (_point(lambda grey: grey // 60, ".jpg", quality=90), "lossy format"),
}
GOOD = ("good", "Good", "GOOD", "ok", "normal")
ODD_GOOD = {"goood": "did you mean 'good'", "fine": "has no mask|no folder of good test images"}


@dataclass(frozen=True)
class Variant:
    """How a benchmark is written.

    Attributes:
        layout: of its folders or lists.
        picture: key of ``PICTURES`` or ``ODD_PICTURES``.
        mask: key of ``MASKS`` or ``ODD_MASKS``.
        good: name of the folder of good test images, of layouts that have one.
        slash: of paths in lists.
        clutter: whether hidden files and those of systems lie about.
        deeper: whether a picture more lies one folder deeper, which must be told.
    """

    layout: str = "folder"
    picture: str = ".png"
    mask: str = ".png"
    good: str = "good"
    slash: str = "/"
    clutter: bool = False
    deeper: bool = False

    def expected(self) -> list[str]:
        """Return patterns of which one must be in what is said; none if nothing must be said."""
        odd = [table[key][1] for table, key in ((ODD_PICTURES, self.picture), (ODD_MASKS, self.mask)) if key in table]
        odd += [ODD_GOOD[self.good]] if self.good in ODD_GOOD and self.layout == "folder" else []
        return odd + (["left out"] if self.deeper else [])


def _often(usual: Iterable[str], odd: Iterable[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([*2 * sorted(usual), *sorted(odd)])


def variants() -> st.SearchStrategy[Variant]:
    """Return a strategy of variants, most of them without anything odd."""
    return st.builds(
        Variant,
        layout=st.sampled_from(["folder", "visa", "real-iad"]),
        picture=_often(PICTURES, ODD_PICTURES),
        mask=_often(MASKS, ODD_MASKS),
        good=_often(GOOD, ODD_GOOD),
        slash=st.sampled_from(["/", "\\"]),
        clutter=st.booleans(),
        deeper=st.sampled_from([False] * 9 + [True]),
    )


# --- the benchmark


def _picture(number: int, *, defect: tuple[slice, slice] | None) -> Image.Image:
    """Return a grey plate with a grain; a defect is darker, the fainter the later, and a good one has a stain."""
    rng = np.random.default_rng(number)
    pixels = 150 + 30 * np.sin(np.arange(SIZE) / 7)[:, None] + rng.normal(0, 12, (SIZE, SIZE))
    if defect:
        pixels[defect] -= 80 - 10 * number
    if number == 3:
        pixels[40:52, 8:20] += 22
    grey = np.clip(pixels, 0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[..., None], 3, axis=2))


def _place(number: int) -> tuple[slice, slice]:
    row, column = 8 + 9 * number, 30 - 6 * number
    return slice(row, row + 14), slice(column, column + 18)


def _mask(number: int) -> Image.Image:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[_place(number)] = 255
    return Image.fromarray(mask)


def write(root: Path, variant: Variant) -> None:
    """Write two normal images, two good and three defective ones under test."""
    save_picture = {**PICTURES, **{key: save for key, (save, _) in ODD_PICTURES.items()}}[variant.picture]
    save_mask = {**MASKS, **{key: save for key, (save, _) in ODD_MASKS.items()}}[variant.mask]
    good = variant.good if variant.layout == "folder" else "good"
    places = {"folder": "part", "visa": "part", "real-iad": "realiad_1024/part"}
    folder = root / places[variant.layout]
    rows = []
    for number in range(7):
        kind = ("train/good", f"test/{good}", "test/hole")[(number > 1) + (number > 3)]
        defect = kind == "test/hole"
        name, mask = folder / kind / f"{number:03}", folder / "ground_truth/hole" / f"{number:03}_mask"
        name.parent.mkdir(parents=True, exist_ok=True)
        save_picture(_picture(number, defect=_place(number - 4) if defect else None), name)
        if defect:
            mask.parent.mkdir(parents=True, exist_ok=True)
            save_mask(_mask(number - 4), mask)
        rows.append((kind, _written(name), _written(mask) if defect else None))
    if variant.layout != "folder":
        _write_list(root, folder, rows, variant)
    if variant.deeper:
        deeper = folder / "test" / "hole" / "more"
        deeper.mkdir()
        _picture(9, defect=None).save(deeper / "009.png")
    if variant.clutter:
        _clutter(root)


def _written(stem: Path) -> Path:
    (path,) = stem.parent.glob(f"{stem.name}.*")
    return path


def _write_list(root: Path, folder: Path, rows: list[tuple[str, Path, Path | None]], variant: Variant) -> None:
    def told(path: Path | None, start: Path) -> str:
        return path.relative_to(start).as_posix().replace("/", variant.slash) if path else ""

    if variant.layout == "visa":
        (root / "split_csv").mkdir()
        table = [["object", "split", "label", "image", "mask"]]
        for kind, image, mask in rows:
            label = "anomaly" if mask else "normal"
            table.append(["part", kind.split("/")[0], label, told(image, root), told(mask, root)])
        with (root / "split_csv" / "1cls.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table)
        return
    entries: dict[str, list[dict[str, str | None]]] = {"train": [], "test": []}
    for kind, image, mask in rows:
        entry = {"category": "part", "anomaly_class": "AK" if mask else "OK", "image_path": told(image, folder)}
        entries[kind.split("/")[0]].append({**entry, "mask_path": told(mask, folder) or None})
    (root / "realiad_jsons").mkdir()
    content = {"meta": {"prefix": f"part{variant.slash}", "normal_class": "OK"}, **entries}
    (root / "realiad_jsons" / "part.json").write_text(json.dumps(content))


def _clutter(root: Path) -> None:
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for name in ("._000.png", "Thumbs.db", "desktop.ini", "._part.json", "@eaDir/000.png", ".Trash-1/001.png"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"\0\5\26\7")


# --- what becomes of it


class _Said(logging.Handler):
    """Keeps what the package says."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def outcome(root: Path, layout: str) -> tuple[Metrics, list[str]]:
    """Return the metrics, exact and official, of the difference to the first normal image, and all that was said."""
    said, log = _Said(), logging.getLogger("metauas")
    log.addHandler(said)
    try:
        (category,) = read_benchmark(root, layout=layout).categories
        queries = Queries(category, size=SIZE)
        prompt = stack_images(category.train_good[:1], size=SIZE)
        maps = pixel_difference(queries.images(range(len(queries))), prompt)[:, 0].numpy()
        exact = compute_metrics(maps, queries.masks, queries.labels)
        official = compute_metrics_official(maps, queries.official_masks, queries.labels)
        return exact | {f"official {name}": value for name, value in official.items()}, said.texts
    except InputError as error:
        return {}, [*said.texts, str(error)]
    finally:
        log.removeHandler(said)


def differences(metrics: Metrics, clean: Metrics) -> list[str]:
    """Return the metrics that are not those of the clean benchmark within ``TOLERANCE``."""
    far = [name for name, value in clean.items() if not abs(metrics.get(name, np.nan) - value) <= TOLERANCE]
    return [f"{name} {metrics.get(name, np.nan):.3f} (clean: {clean[name]:.3f})" for name in far]


def clean_metrics(work: Path) -> Metrics:
    """Return the metrics of the benchmark as MVTec AD would have it."""
    write(work / "clean", Variant())
    metrics, said = outcome(work / "clean", "folder")
    assert not said, said
    return metrics


def check(variant: Variant, *, clean: Metrics) -> str:
    """Try one variant; return how it ended: ``same``, or ``told``.

    Raises:
        AssertionError: its numbers differ and nothing was said that names the cause, or something was said without
            need.
    """
    root = Path(tempfile.mkdtemp())
    try:
        write(root, variant)
        metrics, said = outcome(root, variant.layout)
    finally:
        shutil.rmtree(root)
    far, expected = differences(metrics, clean), variant.expected()
    text = "\n".join(said)
    if not expected:
        assert not said, f"{variant}: nothing is odd, but it was said: {text}"
        assert not far, f"{variant}: {far}"
        return "same"
    assert any(re.search(pattern, text) for pattern in expected), f"{variant}: {far}, and this was said: {text!r}"
    return "told"


def main() -> None:
    """Try many variants and print how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=250, help="variants")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parsed = parser.parse_args()
    clean, ended = clean_metrics(parsed.work), Counter[str]()

    @settings(max_examples=parsed.count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(variants())
    def try_all(variant: Variant) -> None:
        ended[check(variant, clean=clean)] += 1

    try_all()
    print(f"{sum(ended.values())} variants: {dict(ended)}")


if __name__ == "__main__":
    main()

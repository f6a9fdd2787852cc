"""The archive of anomaly maps that MVTec AD 2's evaluation server takes.

    submission/anomaly_images/<category>/<folder>/<name>.tiff               the map, float16
    submission/anomaly_images_thresholded/<category>/<folder>/<name>.png    0, or 255 above the threshold

Each image of the folders ``test_private`` (000_regular, …) and ``test_private_mixed`` (000_mixed, …) has both files, in
its own size.

Source: MVTec's public code for uploads, MVTecAD2_public_code_utils, at
https://www.mvtec.com/company/research/datasets/mvtec-ad-2.
"""

import io
import tarfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import tifffile
from jaxtyping import Float32

from metauas.errors import InputError
from metauas.eval.benchmarks.catalogue import CATALOGUE, Counts
from metauas.eval.benchmarks.layouts import Benchmark, Category
from metauas.eval.benchmarks.layouts.samples import as_test_images
from metauas.eval.benchmarks.queries import Queries
from metauas.eval.evaluation import check_validation, maps_threshold
from metauas.eval.images.regions import enlarge_map
from metauas.eval.interface import PromptedNetwork, check_evaluation_mode
from metauas.eval.prompts.conditions import turned_prompt
from metauas.eval.prompts.strategies import Strategy, create_strategy
from metauas.eval.segmentation import Method, network_method, segment_queries
from metauas.eval.settings import EvalSettings
from metauas.files import atomic_path
from metauas.files.decoding import upright_size
from metauas.progress import tqdm

SUBMISSION_NAME = "submission.tar.gz"
LAYOUT = "mvtec2"
MAPS, MASKS = "anomaly_images", "anomaly_images_thresholded"
#: Folders of the images to be sent, and the second part of the images' names in them.
FOLDERS = {"test_private": "regular", "test_private_mixed": "mixed"}


def check_submission(benchmark: Benchmark, settings: EvalSettings) -> None:
    """Check that a benchmark is the complete MVTec AD 2, whose server refuses parts of it.

    Raises:
        InputError: it has another layout, lacks a category or an image, or has further images; or no threshold can be
            calibrated (see ``check_validation``).
    """
    if benchmark.layout != LAYOUT:
        raise InputError(f"a submission is of MVTec AD 2, not of layout {benchmark.layout!r}; use layout {LAYOUT!r}")
    known = CATALOGUE[LAYOUT].categories
    if missing := sorted(known.keys() - {category.name for category in benchmark.categories}):
        raise InputError(f"a submission needs all categories of MVTec AD 2; missing: {', '.join(missing)}")
    for category in benchmark.categories:
        check_validation(category, settings)
        _check_names(category, known.get(category.name))


def _check_names(category: Category, known: Counts | None) -> None:
    if known is None:
        raise InputError(f"category {category.name!r} is not one of MVTec AD 2; leave it out of the submission")
    for folder, light in FOLDERS.items():
        found = {path.name for path in category.unlabelled[folder]}
        expected = {f"{number:03}_{light}.png" for number in range(known.unlabelled)}
        if wrong := sorted(found ^ expected):
            place = f"{category.name}/{folder}: {len(wrong)} images are missing or unexpected, such as {wrong[0]}"
            raise InputError(f"{place}; expected are {known.unlabelled}, 000_{light}.png and so on")


def write_submission(path: str | Path, model: PromptedNetwork, benchmark: Benchmark, settings: EvalSettings) -> Path:
    """Segment the images without labels of MVTec AD 2, write the archive (tar.gz) atomically, and return its path.

    Prompts are those of the first seed. The threshold of a category is the one of SegF1 in an evaluation: at most 5 %
    of new normal images have a pixel above it (``maps_threshold`` of the validation images).

    Args:
        path: of the archive.
        model: the network, in evaluation mode.
        benchmark: the complete MVTec AD 2.
        settings: prompts, shots, seeds, size and batch size.

    Raises:
        InputError: as ``check_submission``, or an image cannot be read.
        OutputError: the archive cannot be written, for example because the disk is full.
    """
    check_submission(benchmark, settings)
    check_evaluation_mode(model)
    strategy = create_strategy(settings, benchmark, embed=lambda images: model.embed(images))
    segment = partial(_segment, network_method(model), strategy, settings)
    with atomic_path(path) as temporary, tarfile.open(temporary, "w:gz", compresslevel=1) as archive:
        for category in tqdm(benchmark.categories, desc="segmenting images without labels", unit="category"):
            threshold = maps_threshold(segment(category, category.validation))
            for folder in FOLDERS:
                images = category.unlabelled[folder]
                for image, values in zip(images, segment(category, images), strict=True):
                    place = f"{category.name}/{folder}/{image.stem}"
                    _add(archive, place, values, size=upright_size(image), threshold=threshold)
    return Path(path)


def _segment(
    method: Method, strategy: Strategy, settings: EvalSettings, category: Category, images: list[Path]
) -> Float32[np.ndarray, "n h w"]:
    """Return the maps of a category's image files, as the first seed of an evaluation gives them."""
    queries = Queries(as_test_images(category, images), size=settings.size)
    seed, condition = strategy.seeds[0], turned_prompt(settings.rotations[0])
    prompts, batch_size = strategy.choose(queries, seed=seed), settings.queries_at_once
    return segment_queries(method, queries, prompts, condition=condition, seed=seed, batch_size=batch_size)


def _add(
    archive: tarfile.TarFile, place: str, values: Float32[np.ndarray, "_ _"], *, size: tuple[int, int], threshold: float
) -> None:
    """Add the two files of a map, enlarged to ``size`` (width, height)."""
    enlarged = enlarge_map(values, size[::-1])
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, enlarged.astype(np.float16), metadata=None)  # not compressed, which few readers understand
    mask = np.where(enlarged > np.float64(threshold), 255, 0).astype(np.uint8)
    png = cv2.imencode(".png", mask)[1].tobytes()
    for name, content in ((f"{MAPS}/{place}.tiff", tiff.getvalue()), (f"{MASKS}/{place}.png", png)):
        entry = tarfile.TarInfo(f"submission/{name}")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))

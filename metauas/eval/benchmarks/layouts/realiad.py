"""Real-IAD as downloaded, by its lists for training on normal images: of all views, or of a single one.

    root/realiad_1024/<category>/{OK,NG}/...      (or realiad_512, realiad_256)
    root/realiad_jsons/<category>.json            all views (or realiad_jsons/realiad_jsons/<category>.json)
    root/realiad_jsons_sv/<category>.json         a single view (or realiad_jsons/realiad_jsons_sv/<category>.json)

A list is ``{"meta": {"prefix", "normal_class"}, "train": [...], "test": [...]}`` with entries ``category``,
``anomaly_class``, ``image_path`` and ``mask_path``, relative to the folder of the images and the prefix. Each view has
its own label: a view that does not show the defect is normal.

Source: Wang et al., Real-IAD, CVPR 2024.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.listed import Entry, category_from
from metauas.eval.benchmarks.layouts.problems import Problems, known_names
from metauas.eval.benchmarks.layouts.samples import GOOD, Category
from metauas.files import read_json
from metauas.files.listing import files_in

IMAGES = ("realiad_1024", "realiad_512", "realiad_256")
#: Folders of the lists of all views, and of those of a single view.
ALL_VIEWS, SINGLE_VIEW = ((Path(name), Path("realiad_jsons", name)) for name in ("realiad_jsons", "realiad_jsons_sv"))
#: Words for the codes of the defects, from the project's page.
DEFECTS = {
    "AK": "pit",
    "BX": "deformation",
    "CH": "abrasion",
    "HS": "scratch",
    "PS": "damage",
    "QS": "missing parts",
    "YW": "foreign objects",
    "ZW": "contamination",
}
ERRORS_SHOWN = 3


class _Meta(BaseModel):
    prefix: str
    normal_class: str


class _Image(BaseModel):
    category: str
    anomaly_class: str
    image_path: str
    mask_path: str | None = None


class _List(BaseModel):
    meta: _Meta
    train: list[_Image]
    test: list[_Image]


def list_realiad(
    root: Path, categories: Sequence[str] | None, problems: Problems, *, lists: tuple[Path, ...] = ALL_VIEWS
) -> list[Category]:
    """List the categories asked for, by their ``lists`` under the root, and add their problems to ``problems``.

    Raises:
        InputError: there are no lists or no images, or a list cannot be read or has another form; names the file.
    """
    images = next((root / name for name in IMAGES if (root / name).is_dir()), None)
    if images is None:
        raise InputError(f"{root} holds no images; expected the folder {' or '.join(IMAGES)}")
    folders = [root / folder for folder in lists if (root / folder).is_dir()]
    files = {path.stem: path for folder in folders for path in files_in(folder, suffixes=(".json",))}
    if not files:
        raise InputError(f"{root / lists[0]} holds no list of a category; unpack realiad_jsons.zip there")
    names = known_names(categories, sorted(files), problems)
    read = [category_from(name, images, _entries(files[name], problems), problems) for name in names]
    # images of the other views lie in the same folders, unused on purpose
    return read if lists == ALL_VIEWS else [replace(category, folder=None) for category in read]


def _entries(path: Path, problems: Problems) -> list[Entry]:
    content = _read_list(path)
    meta, entries = content.meta, []
    for split, images in (("train", content.train), ("test", content.test)):
        for number, image in enumerate(images):
            place = f"{path} {split}[{number}]"
            if image.category != path.stem:
                wrong = f"{place} is of category {image.category!r}, in the list of {path.stem!r}"
                problems.add(wrong, category=path.stem)
            normal = image.anomaly_class.casefold() == meta.normal_class.casefold()
            defect = GOOD if normal else DEFECTS.get(image.anomaly_class, image.anomaly_class)
            mask = meta.prefix + image.mask_path if image.mask_path else ""
            name = meta.prefix + image.image_path
            entries.append(Entry(place=place, train=split == "train", defect=defect, image=name, mask=mask))
    return entries


def _read_list(path: Path) -> _List:
    try:
        return _List.model_validate(read_json(path))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        more = f"; and {len(wrong) - ERRORS_SHOWN} more" if len(wrong) > ERRORS_SHOWN else ""
        raise InputError(f"{path} is no list of Real-IAD: {'; '.join(wrong[:ERRORS_SHOWN])}{more}") from error

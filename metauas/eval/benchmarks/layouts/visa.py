"""VisA as downloaded, by its list for one-class training.

    root/<category>/Data/Images/Normal/*.JPG
    root/<category>/Data/Images/Anomaly/*.JPG
    root/<category>/Data/Masks/Anomaly/*.png
    root/split_csv/1cls.csv        object,split,label,image,mask

Source: Zou et al., SPot-the-Difference, ECCV 2022, and github.com/amazon-science/spot-diff. Its ``prepare_data.py``
converts VisA to MVTec AD's layout, to be read as ``mvtec``.
"""

from collections.abc import Sequence
from pathlib import Path

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts.listed import Entry, category_from, read_table
from metauas.eval.benchmarks.layouts.problems import Problems, known_names
from metauas.eval.benchmarks.layouts.samples import GOOD, Category

SPLIT = Path("split_csv", "1cls.csv")
COLUMNS = ("object", "split", "label", "image", "mask")
VALUES = {"split": ("train", "test"), "label": ("normal", "anomaly")}


def list_visa(root: Path, categories: Sequence[str] | None, problems: Problems) -> list[Category]:
    """List the categories of ``1cls.csv`` that are asked for, and add their problems to ``problems``.

    Raises:
        InputError: the list is missing, cannot be read or has an invalid value; names the line.
    """
    hint = "it comes with VisA; if yours was converted to folders train/good, test/bad, its layout is 'mvtec'"
    entries: dict[str, list[Entry]] = {}
    for place, row in read_table(root / SPLIT, columns=COLUMNS, hint=hint):
        if row["object"] in ("", ".", "..") or set(row["object"]) & set("/\\:\0"):
            raise InputError(f"{place}: object {row['object']!r} is no name of a folder")
        entries.setdefault(row["object"], []).append(_entry(place, row))
    if not entries:
        raise InputError(f"{root / SPLIT} lists no image; download VisA again")
    names = known_names(categories, sorted(entries), problems)
    return [category_from(name, root, entries[name], problems) for name in names]


def _entry(place: str, row: dict[str, str]) -> Entry:
    row = {**row, **{column: row[column].strip().casefold() for column in VALUES}}
    for column, values in VALUES.items():
        if row[column] not in values:
            hint = f"{did_you_mean(row[column], values)}; choose one of {', '.join(values)}"
            raise InputError(f"{place}: {column} {row[column]!r} is not known{hint}")
    defect = GOOD if row["label"] == "normal" else "anomaly"
    return Entry(place=place, train=row["split"] == "train", defect=defect, image=row["image"], mask=row["mask"])

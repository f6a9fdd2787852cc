"""Layouts in which folders say it all: MVTec AD's, and those of its relatives.

MVTec AD and GoodsAD, and VisA, BTAD and others once converted:

    root/<category>/train/good/*.png
    root/<category>/test/good/*.png
    root/<category>/test/<defect>/<stem>.png
    root/<category>/ground_truth/<defect>/<stem>_mask.png   (or <stem>.png, or a folder <stem>/ of several masks)

BTAD says ``ok`` for ``good`` and calls all its defects ``ko``. MVTec LOCO AD has a folder of masks for every image,
one file a defect, and a ``validation`` folder of normal images, from which no prompt is taken.

Sources: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021; Mishra et al., VT-ADL, ISIE 2021;
Bergmann et al., Beyond Dents and Scratches, IJCV 2022; Zhang et al., PKU-GoodsAD, RA-L 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metauas.errors import InputError
from metauas.eval.layouts.problems import Problems, check_image, check_mask, is_there, known_names
from metauas.eval.layouts.samples import GOOD, Category, Sample
from metauas.images import list_images


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """One of the layouts above; calling it lists a benchmark.

    Attributes:
        good: name of the folders of normal images.
        single: the root may itself be the only category.
        masks_optional: a category may come without any mask.
    """

    good: str = GOOD
    single: bool = False
    masks_optional: bool = False

    def __call__(self, root: Path, categories: Sequence[str] | None, problems: Problems) -> list[Category]:
        """List the categories under ``root`` that are asked for, and add to ``problems`` what is wrong with them.

        Raises:
            InputError: if no category is there, or the root is one itself and may not be.
        """
        folders = self._category_folders(root)
        names = known_names(categories, sorted(folders), problems)
        return [self._category(name, folders[name], problems) for name in names]

    def _category_folders(self, root: Path) -> dict[str, Path]:
        if _is_category(root):
            if self.single:
                return {root.resolve().name: root}
            parent = root.absolute().parent
            raise InputError(f"{root} is one category, not a benchmark; give its parent folder {parent}")
        folders = {folder.name: folder for folder in root.iterdir() if _is_category(folder)}
        if not folders:
            raise InputError(f"{root} holds no category; expected folders like {root}/bottle/train/{self.good}")
        return folders

    def _category(self, name: str, folder: Path, problems: Problems) -> Category:
        normal = folder / "train" / self.good
        train = list_images(normal) if normal.is_dir() else []
        if not train:
            problems.add(f"{normal} holds no image; put the normal images there", category=name)
        for path in train:
            check_image(path, problems, category=name)
        test = self._test(name, folder, problems)
        self._check_masks(name, folder, test, problems)
        return Category(name=name, train_good=train, test=test)

    def _test(self, name: str, folder: Path, problems: Problems) -> list[Sample]:
        test = folder / "test"
        where = f"put the test images into {test}/{self.good} and {test}/<defect>"
        if not test.is_dir():
            problems.add(f"{test} does not exist; {where}", category=name)
            return []
        for path in list_images(test):
            text = f"{path} is in no defect folder; move it into {test}/{self.good} or {test}/<defect>"
            problems.add(text, category=name, path=path)
        kinds = sorted(entry for entry in test.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        samples = [sample for kind in kinds for sample in self._samples(name, folder, kind, problems)]
        if not samples:
            problems.add(f"{test} holds no image; {where}", category=name)
        return samples

    def _samples(self, name: str, folder: Path, kind: Path, problems: Problems) -> list[Sample]:
        label = kind.name != self.good
        masks = _masks_by_stem(folder / "ground_truth" / kind.name) if label else {}
        samples = []
        for path in list_images(kind):
            size = check_image(path, problems, category=name)
            mask = masks.get(f"{path.stem}_mask", masks.get(path.stem))
            if mask is not None:
                check_mask(mask, path, problems, category=name, size=size)
            defect = kind.name if label else GOOD
            samples.append(Sample(path=path, label=label, defect=defect, mask_path=mask))
        return samples

    def _check_masks(self, name: str, folder: Path, test: list[Sample], problems: Problems) -> None:
        defective = [sample for sample in test if sample.label]
        without = [sample for sample in defective if sample.mask_path is None]
        truth = folder / "ground_truth"
        if without == defective and without:
            if not self.masks_optional:
                hint = "add them, or read it with layout 'folder', which does without"
                problems.add(f"{truth} holds no mask of the {len(without)} defective images; {hint}", category=name)
            return
        # half of the masks would be worse than none: the other defects would count as normal pixels
        for sample in without:
            expected = truth / sample.path.parent.name / f"{sample.path.stem}_mask.png"
            problems.add(f"{sample.path} has no mask; expected {expected}", category=name, path=sample.path)


def _is_category(folder: Path) -> bool:
    return any(is_there(folder / part, Path.is_dir) for part in ("train", "test"))


def _masks_by_stem(folder: Path) -> dict[str, Path]:
    """Return the masks in a folder, files and folders of several, by the names of their images."""
    if not folder.is_dir():
        return {}
    folders = {entry.name: entry for entry in folder.iterdir() if entry.is_dir()}
    return folders | {path.stem: path for path in list_images(folder)}

"""Layouts in which folders say it all: MVTec AD's, and those of its relatives.

MVTec AD and GoodsAD, and VisA, BTAD and others once converted:

    root/<category>/train/good/*.png
    root/<category>/test/good/*.png
    root/<category>/test/<defect>/<stem>.png
    root/<category>/ground_truth/<defect>/<stem>_mask.png   (or <stem>.png, or a folder <stem>/ of several masks)

Names of folders count in any case. BTAD says ``ok`` for ``good`` and calls all its defects ``ko``; your own folder
may say either, or ``normal``. MVTec LOCO AD has a folder of masks for every image,
one file a defect, and a ``validation`` folder of normal images, from which no prompt is taken.

Sources: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021; Mishra et al., VT-ADL, ISIE 2021;
Bergmann et al., Beyond Dents and Scratches, IJCV 2022; Zhang et al., PKU-GoodsAD, RA-L 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.names import GOOD_NAMES, good_folder, part_of, similar_folder
from metauas.eval.benchmarks.layouts.problems import Problems, check_image, check_mask, known_names
from metauas.eval.benchmarks.layouts.samples import GOOD, Category, Sample
from metauas.files.images import list_images
from metauas.files.listing import entries, find_entry, folders_in, is_folder


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """One of the layouts above; calling it lists a benchmark.

    Attributes:
        good: name of the folders of normal images.
        others: names that their folder in ``train`` must not have, being the marks of other layouts.
        single: the root may itself be the only category.
        masks_optional: a category may come without any mask.
    """

    good: str = GOOD
    others: tuple[str, ...] = ()
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
        folders = {folder.name: folder for folder in folders_in(root) if _is_category(folder)}
        if not folders:
            raise InputError(f"{root} holds no category; expected folders like {root}/bottle/train/{self.good}")
        return folders

    def _category(self, name: str, folder: Path, problems: Problems) -> Category:
        train, test, truth = (part_of(folder, p, problems, category=name) for p in ("train", "test", "ground_truth"))
        may_be = [known for known in GOOD_NAMES if known not in self.others]
        normal = good_folder(train, may_be, problems, category=name)
        normal_test = good_folder(test, GOOD_NAMES, problems, category=name)
        samples = self._test(name, test, normal_test, truth, problems)
        self._check_masks(name, truth, samples, problems)
        return Category(
            name=name,
            train_good=self._train(name, normal or train / self.good, problems),
            test=samples,
            folder=folder,
            notes=tuple(self._notes(normal, normal_test)),
        )

    def _train(self, name: str, normal: Path, problems: Problems) -> list[Path]:
        train = list_images(normal) if normal.is_dir() else []
        if not train:
            near = "" if normal.is_dir() else similar_folder(normal.parent, normal.name)
            near = near or ("" if is_folder(normal.parent) else similar_folder(normal.parents[1], normal.parent.name))
            problems.add(f"{normal} holds no image{near}; put the normal images there", category=name)
        for path in train:
            check_image(path, problems, category=name)
        return train

    def _notes(self, *normal: Path | None) -> list[str]:
        other = [folder for folder in normal if folder is not None and folder.name != self.good]
        return [f"{folder} is read as the folder of normal images, as {self.good} would be" for folder in other]

    def _test(self, name: str, test: Path, normal: Path | None, truth: Path, problems: Problems) -> list[Sample]:
        where = f"put the test images into {test}/{self.good} and {test}/<defect>"
        if not test.is_dir():
            near = similar_folder(test.parent, test.name)
            problems.add(f"{test} does not exist{near}; {where}", category=name)
            return []
        for path in list_images(test):
            text = f"{path} is in no defect folder; move it into {test}/{self.good} or {test}/<defect>"
            problems.add(text, category=name, path=path)
        samples = []
        for kind in folders_in(test):
            is_good = kind == normal
            samples += self._samples(name, kind, None if is_good else truth, problems)
        if not samples:
            problems.add(f"{test} holds no image; {where}", category=name)
        return samples

    def _samples(self, name: str, kind: Path, truth: Path | None, problems: Problems) -> list[Sample]:
        """List a folder of test images: normal ones without ``truth``, else defective ones with masks in it."""
        masks = {} if truth is None else _masks_by_stem(truth, kind.name, problems, category=name)
        defect = GOOD if truth is None else kind.name
        taken: dict[Path, Path] = {}
        samples = []
        for path in list_images(kind):
            size = check_image(path, problems, category=name)
            mask = masks.get(f"{path.stem}_mask", masks.get(path.stem))
            if mask is not None:
                _check_owner(mask, path, taken, problems, category=name)
                check_mask(mask, path, problems, category=name, size=size)
            samples.append(Sample(path=path, label=truth is not None, defect=defect, mask_path=mask))
        return samples

    def _check_masks(self, name: str, truth: Path, test: list[Sample], problems: Problems) -> None:
        defective = [sample for sample in test if sample.label]
        without = [sample for sample in defective if sample.mask_path is None]
        if without == defective and without:
            near = "" if is_folder(truth) else similar_folder(truth.parent, truth.name)
            if near or not self.masks_optional:
                hint = "add them, or read it with layout 'folder', which does without"
                hint = f"rename it to {truth.name}" if near else hint
                text = f"{truth} holds no mask of the {len(without)} defective images{near}; {hint}"
                problems.add(text, category=name)
            return
        # half of the masks would be worse than none: the other defects would count as normal pixels
        for sample in without:
            expected = truth / sample.path.parent.name / f"{sample.path.stem}_mask.png"
            problems.add(f"{sample.path} has no mask; expected {expected}", category=name, path=sample.path)


def _is_category(folder: Path) -> bool:
    try:
        parts = [find_entry(folder, part) for part in ("train", "test")]
    except InputError:  # train and test in several cases, which is told when the category is listed
        return True
    return any(part is not None and is_folder(part) for part in parts)


def _masks_by_stem(truth: Path, kind: str, problems: Problems, *, category: str) -> dict[str, Path]:
    """Return the masks of a kind of defect, files and folders of several, by the names of their images."""
    folder = part_of(truth, kind, problems, category=category)
    if not is_folder(folder):
        return {}
    masks = {entry.name: entry for entry in entries(folder) if is_folder(entry)}
    for path in list_images(folder):
        first = masks.setdefault(path.stem, path)
        if first != path:
            text = f"{first} and {path.name} are two masks of one image; keep one of them"
            problems.add(text, category=category, path=path)
    return masks


def _check_owner(mask: Path, image: Path, taken: dict[Path, Path], problems: Problems, *, category: str) -> None:
    first = taken.setdefault(mask, image)
    if first != image:
        text = f"{first} and {image.name} share the mask {mask}; keep one of them, or give each a stem of its own"
        problems.add(text, category=category, path=image)

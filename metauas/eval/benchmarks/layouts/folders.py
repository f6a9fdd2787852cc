"""Layouts in which folder names carry all information: that of MVTec AD and its relatives.

MVTec AD and GoodsAD, and VisA, BTAD and others after conversion:

    root/<category>/train/good/*.png
    root/<category>/test/good/*.png
    root/<category>/test/<defect>/<stem>.png
    root/<category>/ground_truth/<defect>/<stem>_mask.png   (or <stem>.png, or a folder <stem>/ of several masks)

MVTec AD 2 (``test="test_public"``), whose private images have no published labels or masks:

    root/<category>/train/good/000_regular.png
    root/<category>/validation/good/000_regular.png
    root/<category>/test_public/{good,bad}/000_<light>.png
    root/<category>/test_public/ground_truth/bad/000_<light>_mask.png
    root/<category>/test_private/000_regular.png
    root/<category>/test_private_mixed/000_mixed.png

Folder names match in any case. BTAD has ``ok`` for ``good`` and one kind of defect, ``ko``; your own folder may have
``good``, ``ok`` or ``normal``. MVTec LOCO AD has a folder of masks for each image, with one file per defect, and a
folder ``validation`` of normal images, which are not used as prompts.

Sources: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021; Mishra et al., VT-ADL, ISIE 2021;
Bergmann et al., Beyond Dents and Scratches, IJCV 2022; Zhang et al., PKU-GoodsAD, RA-L 2024;
Jezek et al., Deep learning-based defect detection of metal parts, ICUMT 2021; Heckler-Kram et al., The MVTec AD 2
Dataset, arXiv:2503.21622, 2025.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.names import GOOD_NAMES, good_folder, part_of, similar_folder
from metauas.eval.benchmarks.layouts.problems import AddProblem, Problems, check_image, check_mask, known_names
from metauas.eval.benchmarks.layouts.samples import GOOD, Category, Sample
from metauas.files.images import list_images
from metauas.files.listing import entries, find_entry, folders_in, is_folder


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """One of the layouts above; calling it lists a benchmark.

    Attributes:
        good: name of the folders of normal images.
        others: names that the folder of normal images in ``train`` must not have, since they mark other layouts.
        single: the root may itself be the only category.
        masks_optional: a category may have no masks at all.
        test: name of the folder of test images.
        truth_in_test: the folder of masks lies in that of the test images.
        validation: name of the folder of normal images for calibration; empty without one.
        unlabelled: names of the folders of test images without labels, any of which may be missing.
    """

    good: str = GOOD
    others: tuple[str, ...] = ()
    single: bool = False
    masks_optional: bool = False
    test: str = "test"
    truth_in_test: bool = False
    validation: str = ""
    unlabelled: tuple[str, ...] = ()

    def __call__(self, root: Path, categories: Sequence[str] | None, problems: Problems) -> list[Category]:
        """List the categories asked for under ``root``, and add their problems to ``problems``.

        Raises:
            InputError: there is no category, or the root is a category and may not be one.
        """
        folders = self._category_folders(root)
        names = known_names(categories, sorted(folders), problems)
        return [self._category(name, folders[name], partial(problems.add, category=name)) for name in names]

    def _category_folders(self, root: Path) -> dict[str, Path]:
        if self._is_category(root):
            if self.single:
                return {root.resolve().name: root}
            parent = root.absolute().parent
            raise InputError(f"{root} is one category, not a benchmark; give its parent folder {parent}")
        folders = {folder.name: folder for folder in folders_in(root) if self._is_category(folder)}
        if not folders:
            raise InputError(f"{root} holds no category; expected folders like {root}/bottle/train/{self.good}")
        return folders

    def _category(self, name: str, folder: Path, add: AddProblem) -> Category:
        train, test = (part_of(folder, part, add) for part in ("train", self.test))
        truth = part_of(test if self.truth_in_test else folder, "ground_truth", add)
        normal = good_folder(train, [known for known in GOOD_NAMES if known not in self.others], add)
        normal_test = good_folder(test, GOOD_NAMES, add)
        samples = self._test(test, normal_test, truth, add)
        self._check_masks(truth, samples, add)
        return Category(
            name=name,
            train_good=self._train(normal or train / self.good, add),
            test=samples,
            validation=self._validation(folder, add),
            unlabelled={part: _checked(part_of(folder, part, add), add) for part in self.unlabelled},
            folder=folder,
            notes=tuple(
                f"{found} is read as the folder of normal images, as {self.good} would be"
                for found in (normal, normal_test)
                if found is not None and found.name != self.good
            ),
        )

    def _train(self, normal: Path, add: AddProblem) -> list[Path]:
        train = _checked(normal, add)
        if not train:
            near = "" if normal.is_dir() else similar_folder(normal.parent, normal.name)
            near = near or ("" if is_folder(normal.parent) else similar_folder(normal.parents[1], normal.parent.name))
            add(f"{normal} holds no image{near}; put the normal images there")
        return train

    def _validation(self, folder: Path, add: AddProblem) -> list[Path]:
        if not self.validation:
            return []
        part = part_of(folder, self.validation, add)
        return _checked(good_folder(part, GOOD_NAMES, add) or part / self.good, add)

    def _test(self, test: Path, normal: Path | None, truth: Path, add: AddProblem) -> list[Sample]:
        where = f"put the test images into {test}/{self.good} and {test}/<defect>"
        if not test.is_dir():
            add(f"{test} does not exist{similar_folder(test.parent, test.name)}; {where}")
            return []
        for path in list_images(test):
            add(f"{path} is in no defect folder; move it into {test}/{self.good} or {test}/<defect>", path=path)
        kinds = [kind for kind in folders_in(test) if kind != truth]
        samples = [sample for kind in kinds for sample in _samples(kind, None if kind == normal else truth, add)]
        if not samples:
            add(f"{test} holds no image; {where}")
        return samples

    def _check_masks(self, truth: Path, test: list[Sample], add: AddProblem) -> None:
        defective = [sample for sample in test if sample.label]
        without = [sample for sample in defective if sample.mask_path is None]
        if without == defective and without:
            near = "" if is_folder(truth) else similar_folder(truth.parent, truth.name)
            hint = f"rename it to {truth.name}" if near else "add them, or use layout 'folder', which needs no masks"
            if near or not self.masks_optional:
                add(f"{truth} holds no mask of the {len(without)} defective images{near}; {hint}")
            return
        # with masks of some defects alone, the other defects would count as normal pixels
        for sample in without:
            expected = truth / sample.path.parent.name / f"{sample.path.stem}_mask.png"
            add(f"{sample.path} has no mask; expected {expected}", path=sample.path)

    def _is_category(self, folder: Path) -> bool:
        try:
            parts = [find_entry(folder, part) for part in ("train", self.test)]
        except InputError:  # several folders that differ in case alone, which becomes a problem of the category
            return True
        return any(part is not None and is_folder(part) for part in parts)


def _samples(kind: Path, truth: Path | None, add: AddProblem) -> list[Sample]:
    """List a folder of test images: normal ones without ``truth``, else defective ones with their masks in it."""
    masks = {} if truth is None else _masks_by_stem(truth, kind.name, add)
    defect = GOOD if truth is None else kind.name
    owners: dict[Path, Path] = {}
    samples = []
    for path in list_images(kind):
        size = check_image(path, add)
        mask = masks.get(f"{path.stem}_mask", masks.get(path.stem))
        if mask is not None:
            first = owners.setdefault(mask, path)
            if first != path:
                add(f"{first} and {path.name} share the mask {mask}; keep one of them, or rename one", path=path)
            check_mask(mask, path, add, size=size)
        samples.append(Sample(path=path, label=truth is not None, defect=defect, mask_path=mask))
    return samples


def _masks_by_stem(truth: Path, kind: str, add: AddProblem) -> dict[str, Path]:
    """Return the masks of a kind of defect, files and folders of several, by the stems of their images."""
    folder = part_of(truth, kind, add)
    if not is_folder(folder):
        return {}
    masks = {entry.name: entry for entry in entries(folder) if is_folder(entry)}
    for path in list_images(folder):
        first = masks.setdefault(path.stem, path)
        if first != path:
            add(f"{first} and {path.name} are two masks of one image; keep one of them", path=path)
    return masks


def _checked(folder: Path, add: AddProblem) -> list[Path]:
    """List the images of a folder and check each; none if it does not exist."""
    images = list_images(folder) if folder.is_dir() else []
    for path in images:
        check_image(path, add)
    return images

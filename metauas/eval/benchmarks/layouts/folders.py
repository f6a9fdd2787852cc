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

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path

from metauas.errors import InputError, did_you_mean
from metauas.eval.benchmarks.layouts.problems import AddProblem, Problems, check_image, check_mask, known_names
from metauas.eval.benchmarks.layouts.samples import GOOD, Category, Sample
from metauas.files.images import list_images
from metauas.files.listing import entries, find_entry, folders_in, is_folder

#: Names of folders of normal images, in any case.
GOOD_NAMES = (GOOD, "ok", "normal")
_SIMILAR = 0.8  # of 1; "abnormal" and "nok" are as similar, but begin otherwise


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """One of the layouts above; calling it lists a benchmark.

    Attributes:
        good: names that the folder of normal images in ``train`` may have, the expected one first; others mark other
            layouts.
        own: the root may itself be the only category, and a category may have no masks at all.
        test: name of the folder of test images.
        truth_in_test: the folder of masks lies in that of the test images.
        validation: name of the folder of normal images for calibration; empty without one.
        unlabelled: names of the folders of test images without labels, any of which may be missing.
    """

    good: tuple[str, ...] = (GOOD, "normal")
    own: bool = False
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
            if self.own:
                return {root.resolve().name: root}
            parent = root.absolute().parent
            raise InputError(f"{root} is one category, not a benchmark; give its parent folder {parent}")
        folders = {folder.name: folder for folder in folders_in(root) if self._is_category(folder)}
        if not folders:
            raise InputError(f"{root} holds no category; expected folders like {root}/bottle/train/{self.good[0]}")
        return folders

    def _is_category(self, folder: Path) -> bool:
        try:
            parts = [find_entry(folder, part) for part in ("train", self.test)]
        except InputError:  # several folders that differ in case alone, which becomes a problem of the category
            return True
        return any(part is not None and is_folder(part) for part in parts)

    def _category(self, name: str, folder: Path, add: AddProblem) -> Category:
        train, test = (_part_of(folder, part, add) for part in ("train", self.test))
        truth = _part_of(test if self.truth_in_test else folder, "ground_truth", add)
        normal, normal_test = _good_folder(train, self.good, add), _good_folder(test, GOOD_NAMES, add)
        samples = self._test(test, normal_test, truth, add)
        self._check_masks(truth, samples, add)
        return Category(
            name=name,
            train_good=_train(normal or train / self.good[0], add),
            test=samples,
            validation=self._validation(folder, add),
            unlabelled={part: _checked(_part_of(folder, part, add), add) for part in self.unlabelled},
            folder=folder,
            notes=tuple(
                f"{found} is read as the folder of normal images, as {self.good[0]} would be"
                for found in (normal, normal_test)
                if found is not None and found.name != self.good[0]
            ),
        )

    def _validation(self, folder: Path, add: AddProblem) -> list[Path]:
        if not self.validation:
            return []
        part = _part_of(folder, self.validation, add)
        return _checked(_good_folder(part, GOOD_NAMES, add) or part / self.good[0], add)

    def _test(self, test: Path, normal: Path | None, truth: Path, add: AddProblem) -> list[Sample]:
        good = test / self.good[0]
        where = f"put the test images into {good} and {test}/<defect>"
        if not test.is_dir():
            add(f"{test} does not exist{_similar_to(test)}; {where}")
            return []
        for path in list_images(test):
            add(f"{path} is in no defect folder; move it into {good} or {test}/<defect>", path=path)
        kinds = [kind for kind in folders_in(test) if kind != truth]
        samples = [sample for kind in kinds for sample in _samples(kind, None if kind == normal else truth, add)]
        if not samples:
            add(f"{test} holds no image; {where}")
        return samples

    def _check_masks(self, truth: Path, test: list[Sample], add: AddProblem) -> None:
        defective = [sample for sample in test if sample.label]
        without = [sample for sample in defective if sample.mask_path is None]
        if without == defective and without:
            near = _similar_to(truth)
            hint = f"rename it to {truth.name}" if near else "add them, or use layout 'folder', which needs no masks"
            if near or not self.own:
                add(f"{truth} holds no mask of the {len(without)} defective images{near}; {hint}")
            return
        # with masks of some defects alone, the other defects would count as normal pixels
        for sample in without:
            expected = truth / sample.path.parent.name / f"{sample.path.stem}_mask.png"
            add(f"{sample.path} has no mask; expected {expected}", path=sample.path)


def _train(normal: Path, add: AddProblem) -> list[Path]:
    train = _checked(normal, add)
    if not train:
        near = _similar_to(normal) or _similar_to(normal.parent)
        add(f"{normal} holds no image{near}; put the normal images there")
    return train


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
    folder = _part_of(truth, kind, add)
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


# --- names of folders


def _part_of(folder: Path, name: str, add: AddProblem) -> Path:
    """Return the folder ``name`` of a category, in any case, or the expected path if there is none."""
    try:
        return find_entry(folder, name) or folder / name
    except InputError as error:
        add(str(error))
        return folder / name


def _good_folder(parent: Path, names: Collection[str], add: AddProblem) -> Path | None:
    """Return the folder of normal images in a category's ``train`` or ``test``, None if there is none.

    Two folders with one of the ``names``, in any case, and a folder with nearly such a name, are problems.
    """
    folders = folders_in(parent) if is_folder(parent) else []
    found = [folder for folder in folders if folder.name.casefold() in names]
    if len(found) > 1:
        several = " and ".join(folder.name for folder in found)
        add(f"{parent} holds {several}, which are all names of the folder of normal images; keep one of them")
    for folder in folders:
        if near := _nearly_good(folder.name.casefold()):
            hint = f"did you mean {near!r}?; rename it to {near}, or to a defect"
            add(f"{folder} would be a folder of defects, {hint}", path=folder)
    return found[0] if found else None


def _nearly_good(word: str) -> str | None:
    """Return the name of good folders that ``word`` misspells; None if it is correct or not similar."""
    near = (known for known in (GOOD, "normal") if word not in GOOD_NAMES and word[:1] == known[:1])
    return next((known for known in near if SequenceMatcher(None, word, known).ratio() >= _SIMILAR), None)


def _similar_to(folder: Path) -> str:
    """Return ``", did you mean …?"`` for the folder named most like a missing one; else an empty string."""
    if is_folder(folder) or not is_folder(folder.parent):
        return ""
    return did_you_mean(folder.name, [entry.name for entry in folders_in(folder.parent)])

import ast
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from metauas.errors import InputError
from metauas.eval import miniature
from metauas.eval.miniature import CATEGORIES, DEFECTS, Counts, Sample, render_sample, write_miniature
from metauas.eval.miniature.render import VISIBLE, splits, visible_change
from metauas.files.images import read_image, read_mask

SIZE = 96
ONE_EACH = Counts(train=1, good=1, defect=1)
FAULTY = [(category, f"test/{defect}") for category in CATEGORIES for defect in DEFECTS[category]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("data") / "miniature", size=SIZE, counts=ONE_EACH)


@pytest.fixture(scope="module", params=FAULTY, ids="/".join)
def faulty(request: pytest.FixtureRequest) -> Sample:
    category, split = request.param
    return render_sample(category=category, split=split, index=3, seed=5, size=128)


def digest(folder: Path) -> str:
    files = sorted(folder.rglob("*.png"))
    return hashlib.sha256(b"".join(np.ascontiguousarray(read_image(file)) for file in files)).hexdigest()


def test_catalogue_has_nine_categories_with_three_defects() -> None:
    assert len(CATEGORIES) >= 9
    assert list(CATEGORIES) == sorted(CATEGORIES)
    assert all(len(defects) >= 3 for defects in DEFECTS.values())


def test_layout_is_that_of_mvtec(root: Path) -> None:
    assert sorted(folder.name for folder in root.iterdir() if folder.is_dir()) == list(CATEGORIES)
    for category in CATEGORIES:
        images = {str(file.relative_to(root / category)) for file in (root / category).rglob("*.png")}
        expected = {"train/good/000.png", "test/good/000.png"}
        expected |= {f"test/{defect}/000.png" for defect in DEFECTS[category]}
        expected |= {f"ground_truth/{defect}/000_mask.png" for defect in DEFECTS[category]}
        assert images == expected
    assert {file.name for file in root.iterdir() if file.is_file()} == {"README.txt", "miniature.json"}


def test_default_counts() -> None:
    total = {"train/good": 0, "test/good": 0}
    for split in (split for category in CATEGORIES for split in splits(category)):
        key = split if split in total else "defects"
        total[key] = total.get(key, 0) + Counts().of(split)
    assert total == {"train/good": 108, "test/good": 108, "defects": 162}


def test_files_hold_the_rendered_image_and_mask(root: Path) -> None:
    sample = render_sample(category="gear", split="test/rust", index=0, size=SIZE)
    np.testing.assert_array_equal(read_image(root / "gear/test/rust/000.png"), sample.image)
    np.testing.assert_array_equal(read_mask(root / "gear/ground_truth/rust/000_mask.png"), sample.mask)


def test_masks_on_disk_are_0_and_255_and_as_large_as_the_image(root: Path) -> None:
    for file in root.rglob("*_mask.png"):
        raw = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert raw.shape == (SIZE, SIZE)
        assert set(np.unique(raw)) == {0, 255}


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("split", ["train/good", "test/good"])
def test_good_images_have_an_empty_mask(category: str, split: str) -> None:
    sample = render_sample(category=category, split=split, index=1, size=64)
    assert not sample.mask.any()
    np.testing.assert_array_equal(sample.ideal, sample.flawless)


def test_defect_is_visible_but_moderate(faulty: Sample) -> None:
    assert 0.0025 <= faulty.mask.mean() <= 0.12
    change = np.abs(faulty.ideal - faulty.flawless).max(axis=-1)
    assert change[faulty.mask].mean() > 2 * VISIBLE


def test_mask_marks_every_visible_difference_and_nothing_else(faulty: Sample) -> None:
    differs = np.abs(faulty.ideal - faulty.flawless).max(axis=-1) > VISIBLE
    missed = (differs & ~faulty.mask).astype(np.uint8)
    speck_limit = max(2, 0.0002 * missed.size)
    _, _, regions, _ = cv2.connectedComponentsWithStats(missed, connectivity=8)
    assert regions[1:, cv2.CC_STAT_AREA].max(initial=0) < speck_limit
    # outside the mask, good pixels may be added only where a gap of a pixel or a small hole was closed
    reach = cv2.dilate(differs.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (faulty.mask & ~reach).any()
    assert (faulty.mask & ~differs).sum() < 0.35 * faulty.mask.sum()


def test_image_is_the_ideal_picture_plus_noise(faulty: Sample) -> None:
    error = faulty.image / 255 - faulty.ideal
    assert 0.002 < error.std() < 0.02
    assert abs(error.mean()) < 0.003


def test_visible_change_drops_specks_and_closes_holes() -> None:
    before = np.zeros((100, 100, 3), np.float32)
    after = before.copy()
    after[20:40, 20:40, 1] = 1.5 * VISIBLE
    after[30, 30] = 0  # a hole of one pixel
    after[80, 80] = 1  # a speck of one pixel
    after[60:70, 60:70] = 0.5 * VISIBLE  # too faint to be seen
    expected = np.zeros((100, 100), dtype=bool)
    expected[20:40, 20:40] = True
    np.testing.assert_array_equal(visible_change(before, after), expected)


def test_same_seed_same_bytes_on_disk(root: Path, tmp_path: Path) -> None:
    again = write_miniature(tmp_path / "again", size=SIZE, counts=ONE_EACH)
    assert digest(again) == digest(root)


def test_an_image_depends_on_its_own_name_only() -> None:
    first = render_sample(category="nut", split="test/dent", index=2, size=64)
    render_sample(category="weave", split="test/hole", index=0, size=64)
    np.testing.assert_array_equal(render_sample(category="nut", split="test/dent", index=2, size=64).image, first.image)
    for other in ({"seed": 1}, {"index": 3}, {"split": "test/good"}):
        changed = {"category": "nut", "split": "test/dent", "index": 2, "seed": 0, "size": 64, **other}
        assert not np.array_equal(render_sample(**changed).image, first.image)


def test_second_call_changes_nothing(root: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    assert write_miniature(root, size=SIZE, counts=ONE_EACH) == root
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == before


@pytest.mark.parametrize("other", [{"seed": 1}, {"size": 64}, {"counts": Counts(train=2, good=1, defect=1)}])
def test_another_miniature_is_refused_and_kept(root: Path, other: dict) -> None:
    before = digest(root)
    with pytest.raises(InputError, match="another miniature"):
        write_miniature(root, **{"size": SIZE, "counts": ONE_EACH, **other})
    assert digest(root) == before


def test_a_foreign_folder_is_refused_and_kept(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    with pytest.raises(InputError, match="something else"):
        write_miniature(tmp_path, size=SIZE, counts=ONE_EACH)
    assert thesis.read_text() == "years of work"
    with pytest.raises(InputError, match=r"thesis\.tex"):
        write_miniature(thesis, size=SIZE, counts=ONE_EACH)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_is_left_behind_by_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("metauas.eval.miniature.write._save", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_miniature(tmp_path / "miniature", size=SIZE, counts=ONE_EACH)
    assert list(tmp_path.iterdir()) == []


def test_input_errors_name_what_was_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'gravel'"):
        render_sample(category="gravle", split="test/good", index=0)
    with pytest.raises(InputError, match="test/rust"):
        render_sample(category="gear", split="test/rost", index=0)
    with pytest.raises(InputError, match="size=8"):
        write_miniature(tmp_path / "miniature", size=8)
    with pytest.raises(InputError, match="good=0"):
        Counts(good=0)


def test_no_code_is_shared_with_the_training_synthesis() -> None:
    files = list(Path(miniature.__file__).parent.glob("*.py"))
    assert len(files) > 5
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file.name}: relative import"
                imported |= {f"{node.module}.{name.name}" for name in node.names}
    assert "metauas.seeding.rng_for" in imported
    assert not [name for name in imported if name.startswith("metauas.synthesis")]


def test_a_defect_is_drawn_again_until_its_area_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"category": "brick", "split": "test/stain", "index": 0, "size": 64}
    first = render_sample(**name).mask.mean()
    monkeypatch.setattr("metauas.eval.miniature.render.AREA", (first + 0.005, 0.12))
    assert render_sample(**name).mask.mean() >= first + 0.005
    monkeypatch.setattr("metauas.eval.miniature.render.AREA", (0.99, 1.0))
    with pytest.raises(RuntimeError, match="no visible defect"):
        render_sample(**name)

import errno
import json
import os
import re
import shutil
import stat
import tempfile

import pytest

from metauas.errors import InputError, OutputError
from metauas.files import (
    atomic_folder,
    atomic_path,
    read_json,
    require_file,
    require_folder,
    write_json,
    write_text,
)


def test_the_file_appears_only_when_complete(tmp_path):
    target = tmp_path / "new" / "folder" / "result.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == target.suffix
    assert target.read_text() == "half"
    assert [file.name for file in target.parent.iterdir()] == ["result.txt"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def write_and_fail(target, problem):
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise problem


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_behind(tmp_path, problem):
    with pytest.raises(problem):
        write_and_fail(tmp_path / "result.txt", problem)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_earlier_file_as_it_was(tmp_path):
    target = write_text(tmp_path / "result.txt", "first")
    with pytest.raises(RuntimeError):
        write_and_fail(target, RuntimeError)
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path):
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"), atomic_path(tmp_path / "taken") as temporary:
        temporary.write_text("text")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_writer_may_take_the_temporary_file_away(tmp_path):
    with pytest.raises(OutputError, match="removed meanwhile"), atomic_path(tmp_path / "result.txt") as temporary:
        temporary.unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_only_when_complete(tmp_path):
    target = tmp_path / "new" / "folder"
    with atomic_folder(target) as draft:
        write_text(draft / "inside" / "a.txt", "text")
        assert not target.exists()
    assert (target / "inside" / "a.txt").read_text() == "text"
    assert [*target.parent.iterdir()] == [target]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def fill_folder_and_fail(target, problem):
    with atomic_folder(target) as draft:
        write_text(draft / "a.txt", "half")
        raise problem


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_no_folder(tmp_path, problem):
    with pytest.raises(problem):
        fill_folder_and_fail(tmp_path / "folder", problem)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_appeared_meanwhile_is_left_as_it_is(tmp_path):
    target = tmp_path / "folder"
    with pytest.raises(OutputError, match="folder cannot be written"), atomic_folder(target):
        write_text(target / "a.txt", "theirs")
    assert (target / "a.txt").read_text() == "theirs"
    assert [*tmp_path.iterdir()] == [target]


def test_text_and_json_come_back_as_they_were(tmp_path):
    assert write_text(tmp_path / "a.txt", "größer\n").read_text(encoding="utf-8") == "größer\n"
    value = {"names": ["é", "b"], "nested": {"one": 1, "half": 0.5, "none": None, "yes": True}}
    assert read_json(write_json(tmp_path / "a.json", value)) == value
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")


def test_what_json_cannot_hold_becomes_null(tmp_path):
    value = {"a": float("nan"), "b": [float("inf"), (float("-inf"), 1.0)], 3: "key"}
    assert read_json(write_json(tmp_path / "a.json", value)) == {"a": None, "b": [None, [None, 1.0]], "3": "key"}


def test_unwritable_values_leave_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"object": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b'{"half": ', b"\xff\xfe\x00", b""])
def test_a_file_that_is_no_json_is_named(tmp_path, content):
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.json is not valid JSON"):
        read_json(tmp_path / "broken.json")


def test_required_files_and_folders_are_handed_back(tmp_path):
    file = write_text(tmp_path / "a.txt", "")
    assert require_file(str(file)) == file
    assert require_folder(str(tmp_path)) == tmp_path


def test_what_is_missing_or_something_else_is_named_with_the_way_out(tmp_path):
    file = write_text(tmp_path / "a.txt", "")
    with pytest.raises(InputError, match=r"file .*gone\.txt does not exist \(looked in .*\); train first"):
        require_file(tmp_path / "gone.txt", hint="train first")
    with pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path))} is a folder, not a file$"):
        require_file(tmp_path)
    with pytest.raises(InputError, match=r"a\.txt is a file, not a folder$"):
        require_folder(file)
    with pytest.raises(InputError, match=r"gone\.json does not exist"):
        read_json(tmp_path / "gone.json")


def test_json_is_written_for_other_programs(tmp_path):
    text = write_json(tmp_path / "a.json", {"b": 1, "a": [1, 2]}).read_text()
    assert json.loads(text) == {"b": 1, "a": [1, 2]}
    assert text.startswith('{\n  "b"'), "indented, in the given order"


# --- faults of the disk


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "No space left on device.*; free some space, or choose a folder on another disk"),
        (errno.EROFS, "Read-only file system.*; choose a folder that may be written"),
        (errno.EIO, "Input/output error.*; choose another folder"),
    ],
)
def test_a_disk_that_is_full_or_broken_half_way_leaves_the_earlier_file_and_says_what_to_do(tmp_path, number, way_out):
    target = write_text(tmp_path / "result.txt", "first")
    with pytest.raises(OutputError, match=rf"result\.txt cannot be written \({way_out}"):
        write_and_fail(target, OSError(number, os.strerror(number)))
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(OutputError, match=r"a\.json cannot be written \(Permission denied\); choose a folder"):
        write_json(tmp_path / "a.json", {})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_json(tmp_path / "a.json", {})


def test_a_folder_that_is_removed_meanwhile_is_named_and_made_anew_next_time(tmp_path):
    target = tmp_path / "run" / "result.txt"
    with pytest.raises(OutputError, match="removed meanwhile; run the same again"), atomic_path(target):
        shutil.rmtree(target.parent)
    assert write_text(target, "second").read_text() == "second"


def test_a_name_that_is_too_long_is_an_input_error_in_reading_and_writing(tmp_path):
    name = "ö" * 200 + ".json"
    with pytest.raises(InputError, match="File name too long"):
        read_json(tmp_path / name)
    with pytest.raises(OutputError, match=r"File name too long.*choose a shorter name"):
        write_json(tmp_path / name, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["größe 寸法 ✓.json", " a  b .json", "a'\"$(x);&.json", "é" * 120 + ".json"])
def test_any_name_that_the_disk_takes_will_do(tmp_path, name):
    path = write_json(tmp_path / "einem Ordner/с пробелом" / name, {"a": 1})
    assert read_json(path) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_only_what_is_asked_to_be_durable_waits_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(handle))
    write_text(tmp_path / "a.txt", "a")
    assert not synced
    with atomic_path(tmp_path / "b.txt", durable=True) as temporary:
        temporary.write_text("b")
    assert len(synced) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, '"\\ud800', "{"])
def test_json_that_is_no_json_is_named_whatever_is_wrong_with_it(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")

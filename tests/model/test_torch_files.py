"""Files of torch.save: their tensors are read, and nothing in them is executed."""

import io
import os
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from enum import Enum
from pathlib import Path

import pytest
import torch

from metauas.errors import InputError
from metauas.model.weights.torch_files import read_state_dict

FORMATS = {"zip": True, "legacy": False}
TENSORS = {
    "weight": torch.arange(6.0).view(2, 3),
    "steps": torch.tensor(7),
    "half": torch.tensor([0.5, -1.5], dtype=torch.float16),
    "brain": torch.tensor([0.5, -1.5], dtype=torch.bfloat16),
    "flags": torch.tensor([True, False]),
    "channels_last": torch.arange(16.0).view(1, 2, 2, 4).to(memory_format=torch.channels_last),
    "part": torch.arange(12.0).view(3, 4)[1:, ::2],
    "parameter": torch.nn.Parameter(torch.ones(2)),
}


class Colour(Enum):
    RED = 1


class Strange:
    """An object of a class that only whoever wrote the file has."""

    def __init__(self):
        self.items = [self, {Colour.RED: {1, 2}}, defaultdict(list, a=[b"bytes"])]


class Call:
    """Pickled, it asks for a function to be called on loading."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class Build(Call):
    """The same, with a state to be set on what the function returned."""

    def __reduce__(self):
        return *self.call, {"append": 1}, iter([1, 2]), iter([("key", 2)])


@pytest.fixture(params=FORMATS.values(), ids=FORMATS.keys())
def save(request, tmp_path):
    def write(content, name="file.ckpt"):
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=request.param)
        return tmp_path / name

    return write


def read(path):
    return read_state_dict(path, hint="give another")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name])


def wrapped(tensors):
    """As training programs without a framework write it: further entries around and among the tensors."""
    return {"model": tensors | {"version": 2}, "args": {"lr": 1e-4}, "epoch": 3}


@pytest.mark.parametrize("wrap", [dict, OrderedDict, lambda tensors: {"state_dict": tensors, "epoch": 3}, wrapped])
def test_tensors_of_every_kind_are_read_as_they_were_written(save, wrap):
    assert_same(read(save(wrap(TENSORS))), TENSORS)


def test_the_state_dict_of_a_module_is_read(save):
    """A state dict of PyTorch carries versions of its modules as attributes."""
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    assert_same(read(save(state)), state)


def test_tensors_may_share_their_numbers(save):
    whole = torch.arange(4.0)
    assert_same(read(save({"whole": whole, "tail": whole[2:]})), {"whole": whole, "tail": whole[2:]})


def test_objects_of_any_class_beside_the_tensors_are_passed_over(save):
    others = {"hyper_parameters": Namespace(lr=0.1, own=Strange()), "callbacks": {Strange: Strange()}, 3: Colour.RED}
    assert_same(read(save({"state_dict": TENSORS | {"strange": Strange()}, **others})), TENSORS)


def gadgets(target):
    """Calls that leave a file at ``target``, each by another way into a pickle."""
    command = f"touch {target}"
    return {
        "system": Call(os.system, command),
        "exec": Call(exec, f"import os; os.system({command!r})"),
        "write": Call(Path.touch, target),
        "built": Build(os.system, command),
        "nested": Call(getattr, Call(os.system, command), "real"),
        "as a name": {Call(os.system, command): 1},
        "as arguments of a tensor": Call(torch._utils._rebuild_parameter, Call(os.system, command), False, None),
    }


@pytest.mark.parametrize("gadget", gadgets("").keys())
@pytest.mark.parametrize("place", ["beside", "within"])
def test_what_a_file_asks_for_is_not_called(save, tmp_path, gadget, place):
    target = tmp_path / "called"
    content = {"state_dict": {**TENSORS}}
    (content if place == "beside" else content["state_dict"])["gadget"] = gadgets(target)[gadget]
    assert_same(read(save(content)), TENSORS)
    assert not target.exists()


@pytest.mark.parametrize("gadget", ["system", "exec", "write", "built", "nested", "as a name"])
def test_by_pickle_itself_it_would_be(tmp_path, gadget):
    """The gadgets above do work: an ordinary unpickler runs them, whether or not it then fails."""
    target = tmp_path / "called"
    pickled = io.BytesIO(pickle.dumps(gadgets(target)[gadget], protocol=2))
    try:
        pickle.load(pickled)
    except (AttributeError, TypeError):
        assert gadget == "built"
    assert target.exists()


@pytest.mark.parametrize("start", [b"", pickle.dumps(0x1950A86A20F9469CFC6C)], ids=["at once", "after the magic"])
def test_nothing_is_called_before_the_format_is_known(tmp_path, start):
    target = tmp_path / "called"
    path = tmp_path / "hostile.pth"
    path.write_bytes(start + pickle.dumps(Call(os.system, f"touch {target}"), protocol=2))
    with pytest.raises(InputError, match=r"hostile\.pth cannot be read as a file of torch\.save .*; .*: give another"):
        read(path)
    assert not target.exists()


def test_one_file_cannot_change_how_the_next_is_read(save):
    """Attributes set on classes that a pickle names stay with that pickle."""
    change = pickle.dumps((None, {"origin": "changed", "args": (1,)}), protocol=2)[2:-1]  # without PROTO and STOP
    name = b"ctorch._utils\n_rebuild_tensor_v2\n"
    path = save(TENSORS)
    hostile = path.with_name("hostile.pth")
    hostile.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C) + b"\x80\x02" + name + change + b"b.")
    with pytest.raises(InputError, match="cannot be read"):
        read(hostile)
    assert_same(read(path), TENSORS)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_files(save, share):
    path = save(TENSORS)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"file\.ckpt cannot be read .* incomplete or something else: give another"):
        read(path)


def test_a_changed_byte_is_noticed(tmp_path):
    """A zip file has checksums."""
    path = tmp_path / "file.ckpt"
    torch.save({"weight": torch.full((100,), 1.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.ones(100).numpy().tobytes()) + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read .*CRC"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", b"PK\x03\x04", pickle.dumps({"weight": 1}), b"<!DOCTYPE html>"], ids=range(5)
)
def test_other_files(tmp_path, content):
    (tmp_path / "other.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.ckpt cannot be read as a file of torch\.save"):
        read(tmp_path / "other.ckpt")


def test_other_zip_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.ckpt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"other\.ckpt cannot be read .* a zip file without data\.pkl"):
        read(tmp_path / "other.ckpt")


def test_a_torchscript_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"script/{name}", pickle.dumps({}))
    with pytest.raises(InputError, match=r"script\.pt cannot be read .* a TorchScript archive"):
        read(tmp_path / "script.pt")


def test_a_storage_of_another_size_than_the_file_says_is_refused(save, tmp_path):
    """In the pickle the size stands in front of the tuple's end; the tensor itself claims no more than it has."""
    path = save({"weight": torch.ones(77)[:1]})
    path.write_bytes(path.read_bytes().replace(b"KMNtq", b"K\x7fNtq"))  # legacy
    if zipfile.is_zipfile(path):
        rewrite(path, "data.pkl", lambda content: content.replace(b"KMtq", b"K\x7ftq"))
    with pytest.raises(InputError, match=r"file\.ckpt cannot be read as a file of torch\.save"):
        read(path)


def rewrite(path, name, change):
    """Change one file of an archive, with its checksum."""
    with zipfile.ZipFile(path) as archive:
        contents = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in contents.items():
            archive.writestr(each, change(content) if each.endswith(name) else content)


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], torch.ones(1), {"epoch": 3}, {"state_dict": {"a": 1}}, None])
def test_files_without_tensors_by_name(save, content):
    with pytest.raises(
        InputError, match=r"file\.ckpt holds no tensors by name, .* under 'state_dict' or 'model' .*; give another"
    ):
        read(save(content))


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"gone\.ckpt does not exist .*; give another"):
        read(tmp_path / "gone.ckpt")


def rebuilt(offset, size, stride):
    """A tensor on four numbers, of which the file says what torch.save never would."""
    storage = torch.storage.TypedStorage(
        wrap_storage=torch.ones(4).untyped_storage(), dtype=torch.float32, _internal=True
    )
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (1, (4,), (1,)),
        (-1, (2,), (1,)),
        (0, (-1,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (4,)),
        (0, (2**40,), (0,)),
        (0, (2**62, 2**62), (0, 0)),
    ],
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(save, offset, size, stride):
    with pytest.raises(InputError, match=r"file\.ckpt cannot be read .*\) reaches beyond its storage"):
        read(save({"weight": rebuilt(offset, size, stride)}))


@pytest.mark.parametrize(
    ("offset", "size", "stride"), [(0, (2, 2), (1,)), (0, ("2",), (1,)), (None, (2,), (1,)), (0, {"a": 1}, 3)]
)
def test_a_tensor_of_no_shape_is_refused(save, offset, size, stride):
    with pytest.raises(InputError, match=r"file\.ckpt cannot be read .*(ValueError|TypeError)"):
        read(save({"weight": rebuilt(offset, size, stride)}))


def test_a_tensor_rebuilt_of_something_else_is_refused(save):
    with pytest.raises(InputError, match=r"file\.ckpt cannot be read"):
        read(save({"weight": Call(torch._utils._rebuild_tensor_v2, "storage", 0, (1,), (1,), False, None)}))
    with pytest.raises(InputError, match=r"file\.ckpt cannot be read"):
        read(save({"weight": Call(torch._utils._rebuild_parameter)}))

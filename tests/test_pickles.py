"""Pickles: their values are read, and nothing in them is executed."""

import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest

from metauas.errors import InputError
from metauas.files.pickles import check_pickle, read_npy, read_pickle
from metauas.seeding import rng_for

PLAIN = {"train": [1, 2.5, "three"], "nested": ({"a": None}, True, b"bytes"), "big": 2**100}
ARRAYS = {
    "integers": np.arange(5),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "words": np.array(["ab", "c"]),
    "other byte order": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False]),
    "half": np.array([0.5, 2], np.float16),
    "empty": np.zeros((0, 3)),
}
each_protocol = pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))


class Call:
    """Pickled, it asks for a function to be called on loading."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def read(path):
    return read_pickle(path, hint="give another")


@pytest.fixture
def write(tmp_path):
    def write_bytes(content, name="file.pkl"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write_bytes


def objects(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


@each_protocol
def test_values_and_arrays_are_read_as_they_were_written(write, protocol):
    assert read(write(pickle.dumps(PLAIN, protocol))) == PLAIN
    found = read(write(pickle.dumps(ARRAYS, protocol)))
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array)
    assert read(write(pickle.dumps([np.float32(1.5), np.int64(7)], protocol))) == [1.5, 7]


@each_protocol
def test_arrays_of_objects_are_read(write, protocol):
    array = objects({"segmentation": [[1.0, 2, 3, 4, 5, 6]], "bbox": np.array([1, 2])}, {"id": np.int64(3)})
    found = read(write(pickle.dumps(array, protocol)))
    assert found.shape == (2,)
    assert found[0]["segmentation"] == [[1.0, 2, 3, 4, 5, 6]]
    assert found[0]["bbox"].tolist() == [1, 2]
    assert found[1] == {"id": 3}


def test_npy_files_of_numbers_and_of_objects_are_read(tmp_path):
    for name, array in (("numbers", np.arange(6).reshape(2, 3)), ("objects", objects({"a": 1}, {"b": [2]}))):
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
        found = read_npy(tmp_path / f"{name}.npy", hint="give another")
        assert found.shape == array.shape
        assert (found == array).all()


def test_names_of_numpy_1_are_known(write):
    old = pickle.dumps(np.arange(3), 3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy._core" not in old
    assert read(write(old)).tolist() == [0, 1, 2]


# --- hostile files


@each_protocol
@pytest.mark.parametrize("place", [lambda call: call, lambda call: {"train": [1, call]}, lambda call: objects(call)])
def test_a_function_that_a_pickle_asks_for_is_not_called(write, tmp_path, protocol, place):
    trace = tmp_path / "trace"
    content = pickle.dumps(place(Call(os.mkdir, str(trace))), protocol)
    with pytest.raises(InputError, match=r"file\.pkl .*mkdir, which is refused.*give another"):
        read(write(content))
    assert not trace.exists()
    pickle.loads(content)
    assert trace.is_dir(), "a plain unpickler would have called it"


def test_a_function_in_an_npy_file_is_not_called(tmp_path):
    trace, file = tmp_path / "trace", tmp_path / "objects.npy"
    np.save(file, objects(Call(os.mkdir, str(trace))), allow_pickle=True)
    with pytest.raises(InputError, match=r"objects\.npy .*mkdir, which is refused"):
        read_npy(file, hint="give another")
    assert not trace.exists()
    np.load(file, allow_pickle=True)
    assert trace.is_dir(), "NumPy would have called it"


@pytest.mark.parametrize(
    "name", [b"builtins\neval", b"os\nsystem", b"numpy\nload", b"numpy._core.multiarray\n_reconstruct.__globals__"]
)
def test_only_what_rebuilds_arrays_may_be_named(write, name):
    with pytest.raises(InputError, match="which is refused"):
        read(write(b"c" + name + b"\n."))


def test_what_rebuilds_arrays_cannot_be_called_twice(write):
    with pytest.raises(InputError, match="cannot be read as a pickle of plain values"):
        read(write(b"cnumpy\nndarray\n)R)R."))


def test_what_a_pickle_does_to_a_name_does_not_last(write):
    """BUILD on the class itself, which would set its attributes."""
    names = b"cnumpy\nndarray\n"
    read_again = write(pickle.dumps(ARRAYS), "fine.pkl")
    for state in (b"}(Vrole\nVscalar\nu", b"}(Vargs\nNu"):
        with pytest.raises(InputError, match="a class where a value should be"):
            read(write(names + state + b"b."))
    assert read(read_again)["integers"].tolist() == [0, 1, 2, 3, 4]


def test_an_array_cannot_reach_beyond_its_bytes(write):
    for content in (np.arange(5, dtype=np.int64), objects({}, {})):
        written = pickle.dumps({"n": content}, 3)
        wrong = bytearray(written)
        wrong[written.index(b"K\x01K" + bytes([len(content)])) + 3] = 200
        assert pickletools.optimize(bytes(wrong)) != pickletools.optimize(written)
        with pytest.raises(InputError, match=r"file\.pkl cannot be read"):
            read(write(bytes(wrong)))


def test_a_value_that_holds_itself_or_doubles_fifty_times_is_no_trap(write):
    doubled = [1]
    for _ in range(50):
        doubled = [doubled, doubled]
    found = read(write(pickle.dumps(doubled)))
    assert found[0] is found[1]
    endless = []
    endless.append(endless)
    with pytest.raises(InputError, match=r"file\.pkl cannot be read.*RecursionError"):
        read(write(pickle.dumps(endless)))


def test_truncated_and_foreign_files_are_named(write, tmp_path):
    content = pickle.dumps({"plain": PLAIN, "arrays": ARRAYS, "objects": objects({"a": 1}, {})})
    for length in range(0, len(content) - 1, 23):
        with pytest.raises(InputError, match=r"file\.pkl cannot be read.*give another"):
            read(write(content[:length]))
    np.save(tmp_path / "whole.npy", objects({"a": [1, 2, 3]}, {}), allow_pickle=True)
    content = (tmp_path / "whole.npy").read_bytes()
    for length in range(0, len(content) - 1, 23):
        with pytest.raises(InputError, match=r"part\.npy cannot be read.*give another"):
            read_npy(write(content[:length], "part.npy"), hint="give another")
    with pytest.raises(InputError, match=r"absent\.pkl does not exist.*give another"):
        read(tmp_path / "absent.pkl")


def test_garbage_never_gets_past_the_door(write):
    content = pickle.dumps({"plain": PLAIN, "arrays": ARRAYS, "objects": objects({"a": 1}, {})})
    rng = rng_for("garbage")
    for _ in range(300):
        wrong = bytearray(content)
        for place in rng.integers(len(wrong), size=3):
            wrong[place] = rng.integers(256)
        try:
            read(write(bytes(wrong)))
        except InputError:
            continue


# --- the check before reading


HUGE = b"\x80\x02N" + b"r" + struct.pack("<I", 2**31) + b"."  # LONG_BINPUT: remember None as value number 2³¹


def test_a_sound_pickle_passes_and_the_file_stays_where_it_was():
    value = {"many": [(number, str(number)) for number in range(1000)]}  # more than BINPUT can count
    file = io.BytesIO(b"before" + pickle.dumps(value, protocol=2))
    file.seek(6)
    check_pickle(file)
    assert pickle.load(file) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HUGE, "a pickle of 9 bytes that refers to its value number 2147483648"),
        (b"p-1\n.", "value number -1"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.", "expected 1099511627776 bytes"),
        (pickle.dumps([1, 2, 3])[:-1], "exhausted before seeing STOP"),
        (b"\xff", "opcode b'\\\\xff' unknown"),
    ],
)
def test_what_would_take_all_memory_or_has_no_end_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        check_pickle(io.BytesIO(content))

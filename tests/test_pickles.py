import io
import pickle
import struct

import pytest

from metauas.files.pickles import check_pickle

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

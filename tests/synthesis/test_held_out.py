import pytest

from metauas.errors import InputError
from metauas.synthesis.held_out import in_split

NAMES = [str(number) for number in range(20_000)]


def test_every_twentieth_is_held_out_and_in_training_never():
    held_out = [name for name in NAMES if in_split(name, "validation")]
    assert 0.045 < len(held_out) / len(NAMES) < 0.055
    assert all(in_split(name, "train") != in_split(name, "validation") for name in NAMES)
    assert all(in_split(name, "all") for name in NAMES[:50])


def test_an_unknown_split_is_refused():
    with pytest.raises(InputError, match=r"split='valid'.*'validation'"):
        in_split("1", "valid")

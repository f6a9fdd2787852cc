import pytest

from metauas.errors import InputError
from metauas.synthesis.pictures.held_out import names_in_split

NAMES = [str(number) for number in range(20_000)]


def in_split(name, split):
    """Whether a name that stands alone belongs to a split."""
    return bool(names_in_split([name], split))


def test_every_twentieth_is_held_out_and_in_training_never():
    held_out = [name for name in NAMES if in_split(name, "validation")]
    assert 0.045 < len(held_out) / len(NAMES) < 0.055
    assert all(in_split(name, "train") != in_split(name, "validation") for name in NAMES)
    assert all(in_split(name, "all") for name in NAMES[:50])


def test_an_unknown_split_is_refused():
    with pytest.raises(InputError, match=r"split='valid'.*'validation'"):
        in_split("1", "valid")


@pytest.mark.parametrize("names", [["a", "b"], [f"{n}.png" for n in range(10)], [f"{n}.png" for n in range(500)]])
def test_two_names_are_enough_for_both_splits(names):
    train, validation = names_in_split(names, "train"), names_in_split(names, "validation")
    assert train
    assert validation
    assert sorted(train + validation) == sorted(names)
    assert names_in_split(names, "all") == names


def test_where_some_are_held_out_the_splits_are_those_of_each_name():
    names = [f"{n}.png" for n in range(500)]
    assert names_in_split(names, "validation") == [name for name in names if in_split(name, "validation")]


def test_one_that_is_held_out_by_itself_does_not_take_all():
    held = [name for name in (f"{n}.png" for n in range(500)) if in_split(name, "validation")][:2]
    assert len(names_in_split(held, "train")) == 1

import pytest

from metauas.errors import InputError, WeightsUnavailableError, check_choice, did_you_mean


def test_a_known_choice_is_handed_back():
    assert check_choice(name="alignment", value="soft", choices=("none", "hard", "soft")) == "soft"


def test_an_unknown_choice_is_named_with_the_nearest_and_all():
    with pytest.raises(InputError) as caught:
        check_choice(name="alignment", value="sfot", choices=iter(("none", "hard", "soft")))
    assert str(caught.value) == ("alignment='sfot' is not known, did you mean 'soft'?; choose one of none, hard, soft")


def test_nothing_is_guessed_for_a_word_unlike_all_others():
    assert did_you_mean("banana", ["soft", "hard"]) == ""
    assert did_you_mean("", ["soft"]) == ""
    assert did_you_mean("hrad", ["soft", "hard"]) == ", did you mean 'hard'?"


def test_input_errors_are_value_errors():
    assert issubclass(InputError, ValueError)
    assert issubclass(WeightsUnavailableError, InputError)

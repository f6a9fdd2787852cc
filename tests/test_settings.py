from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from metauas.errors import InputError
from metauas.settings import Settings


class Bake(Settings):
    cake: str
    degrees: Annotated[int, Field(ge=0, le=300)] = 180
    rack: Literal["low", "middle"] = "middle"


class Party(Settings):
    bake: Bake


def test_values_are_taken_and_the_rest_keeps_its_default():
    assert Bake.parse({"cake": "plum", "degrees": 200}, origin="test") == Bake(cake="plum", degrees=200)


def test_everything_wrong_is_in_one_error():
    with pytest.raises(InputError) as caught:
        Bake.parse({"degres": 200, "degrees": 400, "rack": "top"}, origin="oven.yaml")
    message = str(caught.value)
    assert message.startswith("oven.yaml: ")
    for part in (
        "cake is missing",
        "degres is not known, did you mean 'degrees'?",
        "degrees=400: Input should be less than or equal to 300",
        "rack='top': Input should be 'low' or 'middle'",
    ):
        assert part in message


def test_nested_names_are_shown_in_full():
    with pytest.raises(InputError, match=r"bake\.degrees=-1: "):
        Party.parse({"bake": {"cake": "plum", "degrees": -1}}, origin="test")


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Bake(cake="plum").degrees = 200


def test_pick_leaves_other_names_alone():
    names = {"cake": "plum", "degrees": 200, "guests": 12, "__name__": "__main__"}
    assert Bake.pick(names, origin="test") == Bake(cake="plum", degrees=200)


def test_pick_checks_too():
    with pytest.raises(InputError, match="oven: cake is missing; degrees='hot'"):
        Bake.pick({"degrees": "hot"}, origin="oven")

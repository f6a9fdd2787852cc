import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval.prompts.conditions import Condition, check_conditions, turned, turned_prompt
from metauas.seeding import rng_for


def picture(colour, *, size=33):
    """A white dot right of the centre, on one colour."""
    image = torch.tensor(colour).view(3, 1, 1).repeat(1, size, size)
    image[:, size // 2 - 1 : size // 2 + 2, size - 8 : size - 5] = 1
    return image


@pytest.mark.parametrize(("degrees", "direction"), [(90.0, (0, -1)), (180.0, (-1, 0)), (270.0, (0, 1))])
def test_quarter_turns_go_counter_clockwise(degrees, direction):
    image = picture((0.2, 0.3, 0.4))
    rows, columns = (turned(image[None], degrees=degrees)[0, 0] > 0.9).nonzero().float().mean(dim=0) - 16
    reach = 26.0 - 16
    torch.testing.assert_close((columns, rows), tuple(torch.tensor(reach * d) for d in direction), atol=0.1, rtol=0)


def test_corners_take_each_pictures_own_colour():
    colours = [(0.2, 0.3, 0.4), (0.9, 0.1, 0.5)]
    images = turned(torch.stack([picture(colour) for colour in colours]), degrees=45.0)
    for image, colour in zip(images, colours, strict=True):
        expected = torch.tensor(colour)
        for corner in (image[:, 0, 0], image[:, 0, -1], image[:, -1, 0], image[:, -1, -1]):
            torch.testing.assert_close(corner, expected, atol=1e-5, rtol=0)


def test_no_turn_changes_nothing():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert turned(images, degrees=0.0) is images


def test_turning_interpolates():
    """A ramp stays a ramp, whose slope between neighbours is the cosine of the angle."""
    ramp = torch.linspace(0, 1, 49).expand(1, 3, 49, 49)
    middle = turned(ramp, degrees=30.0)[..., 16:33, 16:33]
    slope = torch.full_like(middle[..., 1:], np.cos(np.pi / 6) / 48)
    torch.testing.assert_close(middle.diff(dim=-1), slope, rtol=0, atol=1e-5)


def test_the_condition_of_turned_prompts_is_named_by_its_angle():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    condition = turned_prompt(22.5)
    assert condition.name == "prompt turned 22.5°"
    assert torch.equal(condition.change(images, rng_for(0)), turned(images, degrees=22.5))
    assert turned_prompt(0.0).name == "prompt turned 0°"


def test_conditions_need_names_of_their_own():
    as_it_is, again = (Condition("as it is", lambda images, _: images) for _ in range(2))
    assert check_conditions([as_it_is]) == [as_it_is]
    with pytest.raises(InputError, match="share the name 'as it is'"):
        check_conditions([as_it_is, again])
    with pytest.raises(InputError, match="no condition"):
        check_conditions([])

import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.eval import EvalSettings
from metauas.eval.layouts import load_sample
from metauas.eval.prompts import random_prompts
from metauas.eval.segmentation import (
    PromptChooser,
    check_evaluation_mode,
    load_category,
    load_prompts,
    segment_all,
    turned,
)
from metauas.images import stack_images
from metauas.model import create_model

SIZE = 32


def mean_colour(images):
    return images.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def bottle(tiny_benchmark):
    return tiny_benchmark.categories[0]


def chooser(benchmark, **changes):
    return PromptChooser(benchmark, EvalSettings(size=SIZE, **changes), embed=mean_colour)


def test_a_category_is_read_whole_and_in_order(bottle):
    test = load_category(bottle, size=SIZE)
    assert test.images.shape == (5, 3, SIZE, SIZE)
    assert test.masks.shape == (5, SIZE, SIZE)
    assert test.labels.tolist() == [sample.label for sample in bottle.test]
    assert test.labels.sum() == 3
    for index, sample in enumerate(bottle.test):
        image, mask = load_sample(sample, SIZE)
        assert torch.equal(test.images[index], image)
        assert np.array_equal(test.masks[index], mask)
        assert mask.any() == sample.label


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_every_query_meets_its_prompt(batch_size):
    queries = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 4, 6)
    own = 10 * torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 4, 6)
    sizes = []

    def add(some, prompts):
        sizes.append(len(some))
        return (some + prompts)[:, :1]

    assert segment_all(add, queries, own, batch_size=batch_size)[:, 0, 0].tolist() == [0, 11, 22, 33, 44]
    assert max(sizes) <= batch_size
    assert segment_all(add, queries, own[2:3], batch_size=batch_size)[:, 3, 5].tolist() == [20, 21, 22, 23, 24]
    assert segment_all(add, queries, own, batch_size=batch_size).shape == (5, 4, 6)


def test_random_prompts_are_those_of_the_seed(tiny_benchmark, bottle):
    queries = load_category(bottle, size=SIZE).images
    seeds = (1, 3, 5, 7, 9, 11, 13)
    chosen = dict(chooser(tiny_benchmark, seeds=seeds).choose(bottle, queries))
    assert chosen == {seed: [random_prompts(bottle, seed=seed)] for seed in seeds}
    assert len({paths[0] for paths in chosen.values()}) == 2


@pytest.mark.parametrize("prompt", ["nearest", "pool"])
def test_similar_prompts_are_chosen_once_for_each_query(tiny_benchmark, bottle, prompt):
    queries = load_category(bottle, size=SIZE).images
    choose = chooser(tiny_benchmark, prompt=prompt, seeds=(1, 3, 5))
    assert choose.seeds() == (1,)
    ((seed, paths),) = choose.choose(bottle, queries)
    assert seed == 1
    assert len(paths) == len(queries)
    categories = tiny_benchmark.categories if prompt == "pool" else [bottle]
    pool = [path for category in categories for path in category.train_good]
    vectors = torch.nn.functional.normalize(mean_colour(stack_images(pool, size=SIZE)), dim=1)
    best = (torch.nn.functional.normalize(mean_colour(queries), dim=1) @ vectors.T).argmax(dim=1)
    assert paths == [pool[index] for index in best]


def test_share_of_the_right_class(tiny_benchmark, bottle):
    brick = tiny_benchmark.categories[1]
    mixed = [*bottle.train_good, brick.train_good[0], bottle.train_good[0]]
    assert chooser(tiny_benchmark, prompt="pool").right_class_share(mixed, bottle) == 0.75
    assert chooser(tiny_benchmark).right_class_share(mixed[:1], bottle) == 1


def test_prompts_are_read_in_order_and_once(monkeypatch, bottle):
    first, second = bottle.train_good
    read = []

    def counted(paths, *, size):
        read.extend(paths)
        return stack_images(paths, size=size)

    monkeypatch.setattr("metauas.eval.segmentation.stack_images", counted)
    images = load_prompts([second, first, second, second], size=16)
    assert read == [second, first]
    assert torch.equal(images, stack_images([second, first, second, second], size=16))


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


def test_training_mode_is_refused():
    network = create_model("nano")
    with pytest.raises(InputError, match=r"training mode; call model\.eval\(\) first"):
        check_evaluation_mode(network)
    check_evaluation_mode(network.eval())

from dataclasses import dataclass

import pytest
import torch

from metauas.errors import InputError
from metauas.synthesis import ChangePair, build_synthesizer, read_recipe, write_pairs
from metauas.synthesis.dataset import PairDataset
from metauas.train import TrainSettings, training_pairs
from metauas.train.data import RepeatedPairs, ShareOfSteps, step_batches
from metauas.train.settings import Execution, Validation


@dataclass
class Numbers:
    """As many pairs of one pixel as wanted, each showing its number."""

    count: int

    def __len__(self):
        return self.count

    def __getitem__(self, index, /):
        pixel = torch.full((3, 1, 1), float(index))
        return ChangePair(query=pixel, prompt=pixel, mask=torch.zeros(1, 1, 1), kind="local", source="number")


def numbers(pairs, order=None):
    """The numbers that pairs show, read in an order."""
    return [int(pairs[i].query[0, 0, 0]) for i in (range(len(pairs)) if order is None else order)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of 36 training and 4 held-out pairs of 32 pixels."""
    folder = tmp_path_factory.mktemp("written")
    recipe = read_recipe(count=40, size=32, shard_size=10, validation_share=0.1, pictures={"drawn_scenes": 1.0})
    write_pairs(recipe, folder, workers=0)
    return folder


def same_pairs(first, second):
    return all(
        torch.equal(getattr(a, side), getattr(b, side))
        for a, b in zip(first, second, strict=True)
        for side in ("query", "prompt", "mask")
    )


# --- order


@pytest.mark.parametrize("count", [64, 70])
def test_no_pair_comes_twice_in_an_epoch_and_epochs_differ(count):
    pairs = RepeatedPairs(Numbers(count), length=3 * count + 5, seed=1)
    seen = numbers(pairs)
    epochs = [seen[i * count : (i + 1) * count] for i in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len(set(seen[3 * count :])) == 5
    again = RepeatedPairs(Numbers(count), length=len(pairs), seed=1)
    assert numbers(again, order=reversed(range(len(again)))) == seen[::-1]  # whatever was read before
    assert numbers(RepeatedPairs(Numbers(count), length=count, seed=2)) != epochs[0]
    with pytest.raises(IndexError):
        pairs[len(pairs)]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_every_step_without_overlap(processes):
    shares = [
        ShareOfSteps(Numbers(40), batch_size=8, start=2, process=process, processes=processes)
        for process in range(processes)
    ]
    assert {len(share) for share in shares} == {3 * 8 // processes}
    parts = [torch.tensor(numbers(share)).view(3, -1) for share in shares]
    assert torch.equal(torch.cat(parts, dim=1), torch.arange(16, 40).view(3, 8))


def test_the_parts_of_a_step_are_its_pairs(tiny):
    pairs = training_pairs(tiny)
    whole = list(step_batches(pairs, tiny, start=7, process=0, processes=1))
    halves = tiny.model_copy(update={"execution": Execution(accumulate=2)})
    parts = list(step_batches(pairs, halves, start=7, process=0, processes=1))
    assert len(whole) == len(parts) == tiny.steps - 7
    for (batch,), two in zip(whole, parts, strict=True):
        assert len(two) == 2
        assert torch.equal(torch.cat([part.query for part in two]), batch.query)


# --- recipes


def first_pairs(settings, *, count=4):
    pairs = training_pairs(settings)
    return [pairs[i] for i in range(count)]


def test_a_recipe_makes_the_pairs_of_the_run(tiny, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "preset: delunnli\nsize: 999\npictures: {drawn_scenes: 1.0}\ndecoys: 0.5\nvariation: {scale: 0.1}\n"
    )
    changes = {"kinds": ["local", "exchange"], "variation": {"shift": 0.2}}
    settings = tiny.model_copy(update={"recipe": {"preset": str(file), **changes}})
    recipe = read_recipe(
        preset="delunnli",
        size=tiny.size,
        pictures={"drawn_scenes": 1.0},
        decoys=0.5,
        mixture={"local": 0.5, "exchange": 0.25},
        variation={**read_recipe(preset="delunnli").variation, "scale": 0.1, "shift": 0.2},
    )
    expected = PairDataset(build_synthesizer(recipe), length=4, seed=tiny.seed)
    assert same_pairs(first_pairs(settings), [expected[i] for i in range(4)])


def test_a_mapping_in_the_settings_is_a_recipe(tiny):
    recipe = {"preset": "delunnli", "pictures": {"drawn_scenes": 1.0}, "variation": {"shift": 0.2}, "kinds": ["local"]}
    settings = TrainSettings.parse({**tiny.model_dump(), "recipe": recipe}, origin="test")
    assert settings.model_dump(mode="json")["recipe"] == recipe
    expected = PairDataset(build_synthesizer(read_recipe(recipe, size=tiny.size)), length=4, seed=tiny.seed)
    assert same_pairs(first_pairs(settings), [expected[i] for i in range(4)])


def test_the_pose_is_a_part_of_the_recipe(tiny):
    def first(recipe):
        return first_pairs(tiny.model_copy(update={"recipe": recipe}), count=1)

    still, turned, ten = (first({"variation": {"rotation": degrees}}) for degrees in (0.0, 90.0, 10.0))
    assert same_pairs(first(None), ten)
    assert not same_pairs(still, turned)


def test_a_kind_that_the_recipe_does_not_make(tiny):
    settings = tiny.model_copy(update={"recipe": {"preset": "draem", "kinds": ["exchange"]}})
    with pytest.raises(InputError, match="'exchange' has no share in the recipe; it makes local"):
        training_pairs(settings)


# --- written pairs


@pytest.fixture
def unmade(tiny):
    """The settings without a recipe, which written pairs have no use for."""
    return tiny.model_copy(update={"recipe": TrainSettings().recipe})


def test_written_pairs_are_what_a_run_learns_from(unmade, written):
    from metauas.synthesis import WrittenPairs

    settings = unmade.model_copy(update={"pairs": str(written), "validation": Validation(pairs=4)})
    pairs, held_out = (training_pairs(settings, split=split) for split in ("train", "validation"))
    assert len(pairs) == unmade.steps * unmade.batch_size > len(WrittenPairs(written))
    first = [pairs[i] for i in range(36)]
    originals = WrittenPairs(written)
    key = lambda pair: pair.query.double().sum().item()  # noqa: E731
    assert same_pairs(sorted(first, key=key), sorted((originals[i] for i in range(36)), key=key))
    kept = WrittenPairs(written, split="validation")
    assert same_pairs([held_out[i] for i in range(4)], [kept[i] for i in range(4)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 64}, "have 32 pixels a side; set size=32, not 64"),
        ({"recipe": "goods"}, "recipe has no effect on the written pairs=.*; leave out one of the two"),
        ({"recipe": {"variation": {"rotation": 0.0}}}, "recipe has no effect on the written pairs="),
        ({"validation": {"pairs": 5}}, "holds 4 pairs of validation; set validation.pairs to at most that"),
        ({"distinct_pairs": 37}, "holds 36 pairs of train; set distinct_pairs to at most that"),
        ({"pairs": "nowhere"}, "nowhere does not exist"),
    ],
    ids=["size", "recipe", "rotation", "held-out", "distinct", "folder"],
)
def test_written_pairs_that_do_not_fit(unmade, written, changes, message):
    settings = TrainSettings(**{**unmade.model_dump(), "pairs": str(written), "validation": {"pairs": 4}, **changes})
    split = "validation" if "validation" in changes else "train"
    with pytest.raises(InputError, match=message):
        training_pairs(settings, split=split)


# --- sizes in turn


def test_each_step_takes_the_next_size(tiny):
    settings = tiny.model_copy(update={"sizes": (32, 48), "steps": 5, "batch_size": 2})
    pairs = training_pairs(settings)
    assert len(pairs) == 10
    assert [pairs[i].query.shape[-1] for i in range(10)] == [32, 32, 48, 48, 32, 32, 48, 48, 32, 32]
    held_out = training_pairs(settings, split="validation")
    assert {held_out[i].query.shape[-1] for i in range(len(held_out))} == {settings.size}
    small, large = (training_pairs(settings.model_copy(update={"sizes": None, "size": size})) for size in (32, 48))
    assert same_pairs([pairs[0], pairs[3]], [small[0], large[3]])


def test_a_run_with_several_sizes_resumes_to_the_same_batches(tiny):
    settings = tiny.model_copy(update={"sizes": (32, 48), "steps": 4, "batch_size": 2})
    pairs = training_pairs(settings)
    whole = list(step_batches(pairs, settings, start=0, process=0, processes=1))
    resumed = list(step_batches(pairs, settings, start=3, process=0, processes=1))
    assert [part.query.shape[-1] for (part,) in whole] == [32, 48, 32, 48]
    assert torch.equal(resumed[0][0].query, whole[3][0].query)


def test_written_pairs_have_one_size(unmade, written):
    settings = unmade.model_copy(update={"pairs": str(written), "sizes": (32,), "batch_size": 2})
    with pytest.raises(InputError, match="sizes has no effect on the written pairs="):
        training_pairs(settings)

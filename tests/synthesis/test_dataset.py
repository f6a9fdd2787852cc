import numpy as np
import pytest
import torch

from metauas.errors import InputError
from metauas.files.images import write_png
from metauas.seeding import rng_for
from metauas.synthesis import (
    TRAINING_PHOTOGRAPHS,
    VALIDATION_PHOTOGRAPHS,
    DrawnScenes,
    DrawnTextures,
    MixedSource,
    PairDataset,
    PairSynthesizer,
    collate,
    embedded_synthesizer,
    pair_loader,
)

DRAWN = MixedSource((DrawnScenes(), DrawnTextures()), (0.6, 0.4))
MINIATURE = {"brick", "coins", "grass", "gravel"}


def dataset(*, seed=0, split="train", length=10):
    return PairDataset(PairSynthesizer(DRAWN, size=48), length=length, seed=seed, split=split)


def same(first, second):
    names = ("query", "prompt", "mask")
    return all(bool((getattr(first, name) == getattr(second, name)).all()) for name in names)


def test_a_pair_does_not_depend_on_the_order_of_access():
    forwards = [dataset()[index] for index in range(10)]
    one = dataset()
    backwards = [one[index] for index in reversed(range(10))][::-1]
    longer = dataset(length=1000)
    for index, (first, second) in enumerate(zip(forwards, backwards, strict=True)):
        assert same(first, second)
        assert same(first, longer[index])
        assert first.kind == second.kind


def test_a_limited_number_of_pairs_comes_over_and_over():
    limited = PairDataset(PairSynthesizer(DRAWN, size=48), length=5, seed=0, distinct=2)
    assert len(limited) == 5
    assert [same(limited[index], dataset()[index % 2]) for index in range(5)] == [True] * 5
    assert not same(limited[0], limited[1])


def test_the_global_generators_have_no_say():
    torch.manual_seed(1)
    first = dataset()[3]
    torch.manual_seed(2)
    assert same(first, dataset()[3])


@pytest.mark.parametrize("other", [{"seed": 1}, {"split": "validation"}])
def test_another_seed_or_split_gives_other_pairs(other):
    assert not any(same(dataset()[index], dataset(**other)[index]) for index in range(5))


def test_different_indices_give_different_pairs():
    pairs = list(dataset())
    assert len(pairs) == len(dataset()) == 10
    assert not any(same(pairs[i], pairs[j]) for i in range(10) for j in range(i))


@pytest.mark.parametrize("index", [-1, 10])
def test_an_index_beyond_the_end_is_refused(index):
    with pytest.raises(IndexError, match=f"pair {index} of 10"):
        dataset()[index]


@pytest.mark.parametrize("methods", [["fork", "spawn", "forkserver"], ["spawn"]], ids=["Linux and macOS", "Windows"])
def test_two_workers_give_the_same_pairs_as_none(monkeypatch, methods):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: methods)
    alone, together = (list(pair_loader(dataset(), batch_size=4, workers=workers)) for workers in (0, 2))
    assert [len(batch.kinds) for batch in alone] == [4, 4, 2]
    for first, second in zip(alone, together, strict=True):
        assert same(first, second)
        assert first.kinds == second.kinds
    assert same(collate([dataset()[index] for index in range(4)]), alone[0])


def test_a_batch_stacks_pairs_and_moves():
    pairs = [dataset()[index] for index in range(3)]
    batch = collate(pairs).to("cpu")
    assert batch.query.shape == batch.prompt.shape == (3, 3, 48, 48)
    assert batch.mask.shape == (3, 1, 48, 48)
    assert batch.kinds == tuple(pair.kind for pair in pairs)
    assert (batch.prompt[2] == pairs[2].prompt).all()
    assert collate(pairs).to("meta").mask.device.type == "meta"


# --- splits


def test_each_split_draws_from_its_own_photographs_alone():
    drawn = {}
    for split in ("train", "validation"):
        pairs = PairDataset(embedded_synthesizer(size=48, split=split), length=150, seed=0, split=split)
        drawn[split] = {pair.source for pair in pairs} - {"scene", "texture"}
    assert drawn["validation"] == set(VALIDATION_PHOTOGRAPHS)
    assert drawn["train"] <= set(TRAINING_PHOTOGRAPHS)
    assert len(drawn["train"]) > 8
    assert not (drawn["train"] | drawn["validation"]) & MINIATURE


def photographs_of(synthesizer):
    """Names of all photographs that a synthesizer can show, as pictures or as textures."""
    sources = [*synthesizer.pictures.sources, *synthesizer.textures.sources]
    return {name for source in sources for name in getattr(source, "names", ())}


def test_textures_keep_to_the_split_too():
    assert photographs_of(embedded_synthesizer(size=48)) == set(TRAINING_PHOTOGRAPHS)
    assert photographs_of(embedded_synthesizer(size=48, split="validation")) == set(VALIDATION_PHOTOGRAPHS)


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (20, 1), (41, 3)])
def test_a_folder_is_divided_into_splits(tmp_path, count, held_out):
    for number in range(count):
        write_png(tmp_path / f"{number:02d}.png", np.zeros((20, 20, 3), np.uint8))
    train, validation = (
        photographs_of(embedded_synthesizer(size=48, split=split, photographs=tmp_path))
        for split in ("train", "validation")
    )
    assert len(validation) == held_out
    assert not train & validation
    assert len(train | validation) == count


def test_pairs_are_made_from_a_folder_of_photographs(tmp_path):
    image = rng_for("photo").integers(0, 255, (8, 8, 3), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, np.kron(image, np.ones((8, 8, 1), np.uint8)))
    synthesizer = embedded_synthesizer(size=48, photographs=tmp_path)
    sources = {synthesizer(rng_for("folder", index)).source for index in range(30)}
    assert sources == {str(tmp_path / "b.png"), "scene", "texture"}


def test_kinds_can_be_selected():
    synthesizer = embedded_synthesizer(size=48, kinds=["local", "unchanged"])
    kinds = [synthesizer(rng_for("kinds", index)).kind for index in range(40)]
    assert set(kinds) == {"local", "unchanged"}
    assert kinds.count("local") > kinds.count("unchanged")


# --- mistakes


def test_unknown_splits_and_kinds_are_named():
    with pytest.raises(InputError, match=r"split='val'.*train, validation"):
        embedded_synthesizer(size=48, split="val")
    with pytest.raises(InputError, match=r"split='test'"):
        dataset(split="test")
    with pytest.raises(InputError, match=r"'exchage' has no share.*did you mean 'exchange'"):
        embedded_synthesizer(size=48, kinds=["exchage"])


def test_folders_with_too_few_photographs_are_named(tmp_path):
    with pytest.raises(InputError, match=rf"{tmp_path.name} holds no image"):
        embedded_synthesizer(size=48, photographs=tmp_path)
    write_png(tmp_path / "only.png", np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(InputError, match=rf"{tmp_path.name} holds one image"):
        embedded_synthesizer(size=48, photographs=tmp_path)


@pytest.mark.parametrize("shares", [(0.5,), (0.0, 0.0), (1.0, -0.5)])
def test_shares_that_do_not_fit_their_sources_are_named(shares):
    with pytest.raises(InputError, match=r"shares=.* for 2 sources"):
        MixedSource((DrawnScenes(), DrawnTextures()), shares)


def test_sources_are_mixed_in_their_shares():
    names = [DRAWN.draw(rng_for("mixed", index), size=24).name for index in range(200)]
    assert abs(names.count("scene") - 120) < 4 * np.sqrt(200 * 0.6 * 0.4)

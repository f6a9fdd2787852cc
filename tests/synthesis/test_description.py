import numpy as np
import pytest

from metauas.errors import InputError
from metauas.synthesis import DrawnScenes, PairSynthesizer, describe_pairs, pairs_of_kind, summarise_pairs

SYNTHESIZER = PairSynthesizer(DrawnScenes(), size=48)


def test_pairs_of_one_kind_are_the_same_for_the_same_seed():
    first, again, other = (pairs_of_kind(SYNTHESIZER, "exchange", count=3, seed=seed) for seed in (0, 0, 1))
    assert [pair.kind for pair in first] == ["exchange"] * 3
    assert all((a.query == b.query).all() for a, b in zip(first, again, strict=True))
    assert not any((a.query == b.query).all() for a, b in zip(first, other, strict=True))
    with pytest.raises(InputError, match="'exchnage'"):
        pairs_of_kind(SYNTHESIZER, "exchnage", count=1, seed=0)


def test_kinds_are_summarised_by_share_and_area():
    pairs = pairs_of_kind(SYNTHESIZER, "local", count=3, seed=0) + pairs_of_kind(
        SYNTHESIZER, "unchanged", count=1, seed=0
    )
    described = describe_pairs(pairs)
    assert described["kind"].tolist() == ["local"] * 3 + ["unchanged"]
    areas = [100 * float(pair.mask.mean()) for pair in pairs]
    np.testing.assert_allclose(described["changed area"], areas)
    table = summarise_pairs(described)
    assert table.loc["local", ["pairs", "share"]].tolist() == [3, 75.0]
    assert table.loc["unchanged", ["mean", "smallest", "largest"]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(
        table.loc["local", ["mean", "smallest", "largest"]].tolist(),
        [np.mean(areas[:3]), min(areas[:3]), max(areas[:3])],
        atol=0.051,
    )

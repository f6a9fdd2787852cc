"""Pairs of one kind, and statistics of pairs."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from metauas.seeding import rng_for
from metauas.synthesis.pairs import ChangePair, PairSynthesizer, check_mixture


def pairs_of_kind(synthesizer: PairSynthesizer, kind: str, *, count: int, seed: int) -> list[ChangePair]:
    """Draw ``count`` pairs of one kind of change.

    Raises:
        InputError: the kind is not known.
    """
    check_mixture({kind: 1.0})
    only = replace(synthesizer, mixture={kind: 1.0})
    return [only(rng_for(seed, kind, index)) for index in range(count)]


def describe_pairs(pairs: Iterable[ChangePair]) -> pd.DataFrame:
    """Return kind, source and changed area (percent of the query) of each pair."""
    rows = [{"kind": p.kind, "source": p.source, "changed area": 100 * float(p.mask.mean())} for p in pairs]
    return pd.DataFrame(rows)


def summarise_pairs(described: pd.DataFrame) -> pd.DataFrame:
    """Return for each kind the number of pairs, share, and mean, smallest and largest changed area (percent)."""
    table = described.groupby("kind")["changed area"].agg(["count", "mean", "min", "max"])
    table.columns = pd.Index(["pairs", "mean", "smallest", "largest"])
    table.insert(1, "share", 100 * table["pairs"] / len(described))
    return table.round(1)

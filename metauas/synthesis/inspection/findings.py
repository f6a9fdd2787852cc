"""Tables and checks of pairs: kinds, areas, duplicates, masks that mark nothing, changes without a mask."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt64
from torch import Tensor
from torch.utils.data import Dataset

from metauas.errors import InputError
from metauas.files import write_json, write_text
from metauas.progress import tqdm
from metauas.seeding import rng_for
from metauas.synthesis.inspection.comparison import compare
from metauas.synthesis.pairs import ChangePair, PairSynthesizer, check_mixture

#: Findings and their meaning for a pair.
FINDINGS = {
    "exact duplicates": "query, prompt and mask are equal to the bit to those of an earlier pair",
    "near duplicates": "query and prompt both look like those of an earlier pair",
    "nothing visible": "the mask is empty, or around it query and prompt differ hardly more than elsewhere",
    "marked though unchanged": "the kind is unchanged, yet the mask marks something",
    "unmasked difference": "outside of the mask query and prompt differ more than pose and light explain",
}

Numbered = tuple[int, ChangePair]

_NEAR = 6  # of 126 bits; those of unrelated images differ in about half
_VISIBLE = 1.2  # times the difference elsewhere; noise alone gives 1
_FENCE = 3.0  # interquartile ranges above the upper quartile: Tukey's outer fence
_FEWEST = 8  # pairs that are needed to judge outliers
_SHOWN = 8  # pairs of a kind in its gallery
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of the changed area


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
    return pd.DataFrame([_described(pair) for pair in pairs])


def summarise_pairs(described: pd.DataFrame) -> pd.DataFrame:
    """Return for each kind the number of pairs, share, and mean, smallest and largest changed area (percent)."""
    table = described.groupby("kind")["changed area"].agg(["count", "mean", "min", "max"])
    table.columns = pd.Index(["pairs", "mean", "smallest", "largest"])
    table.insert(1, "share", 100 * table["pairs"] / len(described))
    return table.round(1)


def _described(pair: ChangePair) -> dict[str, Any]:
    return {"kind": pair.kind, "source": pair.source, "changed area": 100 * float(pair.mask.mean())}


# --- checks


@dataclass(frozen=True)
class Inspection:
    """The result of an inspection.

    Attributes:
        pairs: a row for each pair, by number: kind, source, changed area (percent of the query), the values of
            ``Comparison``, and a boolean for each of ``FINDINGS``.
        duplicates: the table of ``find_duplicates``.
        examples: the first pairs of each kind, with their numbers.
    """

    pairs: pd.DataFrame
    duplicates: pd.DataFrame
    examples: Mapping[str, tuple[Numbered, ...]]

    def kinds(self) -> pd.DataFrame:
        """Return for each kind the pairs, share (percent), and quantiles of the changed area (percent of the query)."""
        groups = self.pairs.groupby("kind")["changed area"]
        table = groups.quantile(np.array(_SHARES)).unstack()
        table.columns = pd.Index([f"area {share:.0%}" for share in _SHARES])
        table.insert(0, "pairs", groups.size())
        table.insert(1, "share", 100 * table["pairs"] / len(self.pairs))
        return table

    def findings(self) -> dict[str, list[int]]:
        """Return the numbers of the pairs that each finding concerns."""
        return {name: [int(i) for i in self.pairs.index[self.pairs[name]]] for name in FINDINGS}

    def summary(self) -> dict[str, Any]:
        """Return the inspection without pictures, ready for JSON."""
        return {
            "pairs": len(self.pairs),
            "aligned": int(self.pairs["is_aligned"].sum()),
            "kinds": {str(kind): row.to_dict() for kind, row in self.kinds().iterrows()},
            "findings": {
                name: {"meaning": FINDINGS[name], "count": len(found), "pairs": found}
                for name, found in self.findings().items()
            },
            "duplicates": self.duplicates.to_dict("records"),
        }

    def write(
        self, folder: str | Path, *, pairs: Dataset[ChangePair] | Sequence[ChangePair] | None = None
    ) -> list[Path]:
        """Write ``inspection.json``, ``pairs.csv``, ``areas.png`` and a gallery of each kind; return the files.

        Args:
            folder: the output folder; made if it is missing.
            pairs: the inspected pairs; with them, a gallery of each finding is written too.
        """
        import matplotlib.pyplot as plt

        from metauas import plots
        from metauas.synthesis.inspection.figures import show_areas, show_pairs

        out, galleries = Path(folder), dict(self.examples)
        if pairs is not None:
            galleries |= {name: tuple((i, pairs[i]) for i in found[:_SHOWN]) for name, found in self.findings().items()}
        figures = {"areas.png": show_areas(self.pairs)}
        for name, numbered in galleries.items():
            if numbered:
                titles = [f"{number}  {pair.kind}" for number, pair in numbered]
                gallery = show_pairs([pair for _, pair in numbered], titles=titles)
                figures[f"gallery-{name.replace(' ', '-')}.png"] = gallery
        files = [write_json(out / "inspection.json", self.summary())]
        files.append(write_text(out / "pairs.csv", self.pairs.to_csv(float_format="%.5g", lineterminator="\n")))
        for file, figure in figures.items():
            files.append(plots.save_figure(figure, out / file))
            plt.close(figure)
        return files


def inspect_pairs(pairs: Iterable[ChangePair]) -> Inspection:
    """Inspect pairs in a few milliseconds each; only some examples of each kind are kept.

    - Duplicates: exact ones by a digest; near ones by perceptual hashes that differ in at most 6 of 126 bits.
    - Nothing visible: the mask is empty, or ``Comparison.visibility`` of an aligned pair is 1.2 or less.
    - Unmasked difference: ``light`` is beyond Tukey's outer fence (upper quartile + 3 interquartile ranges) of all
      pairs, or ``peak`` beyond that of all aligned, or all other, pairs. This needs eight pairs or more.

    Raises:
        InputError: there are no pairs.
    """
    rows, hashes, digests = [], [], []
    examples: dict[str, tuple[Numbered, ...]] = {}
    for number, pair in enumerate(pairs):
        rows.append(_described(pair) | asdict(compare(pair)))
        hashes.append([perceptual_hash(pair.query), perceptual_hash(pair.prompt)])
        content = b"".join(image.numpy().tobytes() for image in (pair.query, pair.prompt, pair.mask))
        digests.append(hashlib.blake2b(content, digest_size=16).digest())
        examples[pair.kind] = (*examples.get(pair.kind, ()), (number, pair))[:_SHOWN]
    if not rows:
        raise InputError("there are no pairs to inspect")
    table = pd.DataFrame(rows).rename_axis("pair")
    duplicates = find_duplicates(np.array(hashes, np.uint64), digests)
    return Inspection(pairs=_with_findings(table, duplicates), duplicates=duplicates, examples=examples)


def inspect_first(pairs: Dataset[ChangePair], *, count: int) -> Inspection:
    """Inspect at most the first ``count`` pairs of a data set, and show the progress."""
    number = min(count, len(pairs))  # type: ignore[arg-type]  # torch's base class has no length
    return inspect_pairs(pairs[index] for index in tqdm(range(number), unit="pair", leave=False))


def _with_findings(table: pd.DataFrame, duplicates: pd.DataFrame) -> pd.DataFrame:
    is_exact = duplicates["exact"].astype(bool)
    is_marked, is_changed = table["changed area"] > 0, table["kind"] != "unchanged"
    peaks = table.groupby("is_aligned")["peak"].transform(_is_beyond_fence).astype(bool)
    found = {
        "exact duplicates": table.index.isin(duplicates["second"][is_exact]),
        "near duplicates": table.index.isin(duplicates["second"][~is_exact]),
        "nothing visible": is_changed & (~is_marked | (table["is_aligned"] & (table["visibility"] <= _VISIBLE))),
        "marked though unchanged": is_marked & ~is_changed,
        "unmasked difference": _is_beyond_fence(table["light"]) | peaks,
    }
    return pd.concat([table, pd.DataFrame(found, index=table.index)], axis=1)


def _is_beyond_fence(values: pd.Series) -> pd.Series:
    lower, upper = values.quantile(0.25), values.quantile(0.75)
    return (values > upper + _FENCE * (upper - lower)) & (len(values) >= _FEWEST)


# --- duplicates


def perceptual_hash(image: Float[Tensor, "3 h w"]) -> int:
    """Return 63 bits that mark which low frequencies of an image are above their median.

    The frequencies are the lowest 8 × 8 of the DCT of 32 × 32 grey values, without the mean (Zauner, 2010). The hash
    hardly changes with size, compression, noise or light.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(image.numpy().transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    waves = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA))[:8, :8].ravel()[1:]
    return int("".join("01"[strong] for strong in (waves > np.median(waves)).astype(int)), 2)


def find_duplicates(hashes: UInt64[np.ndarray, "n k"], digests: Sequence[bytes]) -> pd.DataFrame:
    """Return the pairs that repeat an earlier one, each with the first such pair.

    Args:
        hashes: perceptual hashes of the images of each pair.
        digests: digest of the content of each pair.

    Returns:
        Rows (first, second, bits, exact): the number of different bits, and whether the pairs are equal.
    """
    first_of: dict[bytes, int] = {}
    rows = []
    for second in range(len(hashes)):
        earlier = hashes[:second]
        bits = np.bitwise_count(earlier ^ hashes[second]).sum(axis=1, dtype=np.int64)
        exact = first_of.setdefault(digests[second], second)
        near = np.flatnonzero(bits <= _NEAR)
        if exact < second or near.size:
            first = exact if exact < second else int(near[0])
            rows.append({"first": first, "second": second, "bits": int(bits[first]), "exact": exact < second})
    return pd.DataFrame(rows, columns=["first", "second", "bits", "exact"])

"""Results of an evaluation: one long table, and short tables of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from metauas.errors import InputError
from metauas.eval.benchmarks.layouts.samples import MEAN
from metauas.eval.settings import EvalSettings
from metauas.files import write_json, write_text
from metauas.metrics import METRICS

#: The metrics' own definitions, and those of the author's evaluation script, for comparison with published numbers.
EXACT, OFFICIAL = "exact", "official"


@dataclass(frozen=True)
class Evaluation:
    """Results of ``evaluate``. Undefined numbers, such as pixel metrics without masks, are NaN.

    Attributes:
        values: one row per number: method, condition, category, seed, definition, metric, value.
        settings: those of the evaluation.
        right_class: share of prompts from the query's own class, mean over categories.
    """

    values: pd.DataFrame
    settings: EvalSettings
    right_class: float

    def table(self, *, condition: str | None = None, definition: str = EXACT) -> pd.DataFrame:
        """Return mean and sample deviation over seeds: rows (method, category), with the mean over categories last.

        Columns are pairs (metric, ``mean`` or ``std``); ``condition`` defaults to the first. Means leave out NaN;
        ``averaged_over`` returns their numbers of categories.
        """
        values = self._select(condition, definition)
        over = values.groupby(["method", "seed", "metric"], sort=False, as_index=False)["value"].mean()
        rows = pd.concat([values, over.assign(category=MEAN)])
        cells = rows.groupby(["method", "category", "metric"], sort=False)["value"].agg(["mean", "std"])
        wide = cells.unstack("metric").swaplevel(axis=1)
        order = [(method, category) for method in rows["method"].unique() for category in rows["category"].unique()]
        return wide.loc[order, [(metric, part) for metric in self.metric_names(definition) for part in ("mean", "std")]]

    def averaged_over(
        self, method: str | None = None, *, condition: str | None = None, definition: str = EXACT
    ) -> dict[str, int]:
        """Return for each metric the number of categories in its mean, by default for the network."""
        values = self._select(condition, definition)
        known = values[(values["method"] == (method or self.network)) & values["value"].notna()]
        counts = known.groupby("metric")["category"].nunique()
        return {metric: int(counts.get(metric, 0)) for metric in self.metric_names(definition)}

    def metric_names(self, definition: str = EXACT) -> list[str]:
        """Return the names of the metrics: the seven, then the additional ones of the benchmark's paper."""
        found = self.values.loc[self.values["definition"] == definition, "metric"].unique()
        return [*METRICS, *(metric for metric in found if metric not in METRICS)]

    def conditions(self) -> list[str]:
        """Return the names of the conditions, the main one first."""
        return list(self.values["condition"].unique())

    @property
    def network(self) -> str:
        """Name of the network that was evaluated, such as ``lite``."""
        return self.methods()[0]

    def methods(self) -> list[str]:
        """Return the names of the methods, the network first, then its variants, then the baselines."""
        return list(self.values["method"].unique())

    def definitions(self) -> list[str]:
        """Return the definitions of the metrics that were evaluated, ``exact`` first."""
        return list(self.values["definition"].unique())

    def metrics(self) -> dict[str, Any]:
        """Return the content of ``metrics.json``.

        ``network`` is the network's name. ``categories`` and ``mean`` are its metrics under the main condition, in
        [0, 1], with mean and std over seeds; ``averaged_over`` is the number of categories in each mean. ``methods``
        has the same for all methods, ``conditions`` for all conditions if there are several, and ``official`` by the
        author's definitions if they were evaluated.
        """
        ours = self.network
        blocks = {name: self._block(name) for name in self.methods()}
        result = {"network": ours, **blocks[ours], "methods": blocks}
        if len(self.conditions()) > 1:
            result["conditions"] = {name: self._block(ours, condition=name) for name in self.conditions()}
        if OFFICIAL in self.definitions():
            result["official"] = self._block(ours, definition=OFFICIAL)
        return {**result, "right_class": self.right_class, "settings": self.settings.model_dump()}

    def _select(self, condition: str | None, definition: str) -> pd.DataFrame:
        wanted = (condition or self.conditions()[0], definition)
        return self.values[(self.values["condition"] == wanted[0]) & (self.values["definition"] == wanted[1])]

    def _block(self, method: str, *, condition: str | None = None, definition: str = EXACT) -> dict[str, Any]:
        table = self.table(condition=condition, definition=definition).loc[method]
        names = self.metric_names(definition)
        rows = {
            str(category): {m: {"mean": float(row[m, "mean"]), "std": float(row[m, "std"])} for m in names}
            for category, row in table.iterrows()
        }
        mean = rows.pop(MEAN)
        counts = self.averaged_over(method, condition=condition, definition=definition)
        return {"categories": rows, "mean": mean, "averaged_over": counts}


def write_results(out: str | Path, *, metrics: Mapping[str, Any], values: pd.DataFrame) -> list[Path]:
    """Write ``metrics.json`` and ``metrics.csv``, the long table, and return their paths."""
    return [
        write_json(Path(out) / "metrics.json", metrics),
        write_text(Path(out) / "metrics.csv", values.to_csv(index=False, lineterminator="\n")),
    ]


def check_out(out: str | Path) -> None:
    """Raise InputError if a folder can be neither written nor made; names the file or folder that prevents it."""
    nearest = next(path for path in (Path(out).absolute(), *Path(out).absolute().parents) if os.access(path, os.F_OK))
    if not nearest.is_dir():
        raise InputError(f"results cannot go into {out}: {nearest} is a file; choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"results cannot go into {out}: {nearest} may not be written; choose another folder")

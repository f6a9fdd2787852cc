"""The evaluation: every method on every category, prompt and condition, as one long table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tqdm import tqdm

from metauas.eval.baselines import BASELINES
from metauas.eval.layouts import Benchmark, Category
from metauas.eval.segmentation import (
    PromptChooser,
    Segmenter,
    check_evaluation_mode,
    load_category,
    load_prompts,
    segment_all,
)
from metauas.eval.settings import EvalSettings
from metauas.metrics import METRICS, compute_metrics
from metauas.model import MetaUAS

OURS = "MetaUAS"
MEAN = "mean"


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        values: one row a number: method, condition, category, seed, metric, value.
        settings: what it was made with.
        right_class: share of prompts taken from the query's own class, mean over categories.
    """

    values: pd.DataFrame
    settings: EvalSettings
    right_class: float

    def table(self, *, condition: str | None = None) -> pd.DataFrame:
        """Return mean and sample deviation over seeds: rows (method, category), with the mean over categories last.

        Columns are pairs (metric, ``mean`` or ``std``); ``condition`` defaults to the first.
        """
        values = self.values[self.values["condition"] == (condition or self.conditions()[0])]
        over = values.groupby(["method", "seed", "metric"], sort=False, as_index=False)["value"].mean()
        rows = pd.concat([values, over.assign(category=MEAN)])
        cells = rows.groupby(["method", "category", "metric"], sort=False)["value"].agg(["mean", "std"])
        wide = cells.unstack("metric").swaplevel(axis=1)
        order = [(method, category) for method in rows["method"].unique() for category in rows["category"].unique()]
        return wide.loc[order, [(metric, part) for metric in METRICS for part in ("mean", "std")]]

    def conditions(self) -> list[str]:
        """Return the names of the conditions, the main one first."""
        return list(self.values["condition"].unique())

    def metrics(self) -> dict[str, Any]:
        """Return what goes into ``metrics.json``.

        ``categories`` and ``mean`` hold MetaUAS under the main condition, as fractions with mean and std over
        seeds; ``methods`` the same for the baselines, ``conditions`` the same for every condition if there are several.
        """
        main = self.table()
        names = list(self.values["method"].unique())
        result: dict[str, Any] = {
            **_block(main, OURS),
            "methods": {name: _block(main, name) for name in names},
        }
        if len(self.conditions()) > 1:
            result["conditions"] = {c: _block(self.table(condition=c), OURS) for c in self.conditions()}
        return {**result, "right_class": self.right_class, "settings": self.settings.model_dump()}


def evaluate(model: MetaUAS, benchmark: Benchmark, settings: EvalSettings, *, baselines: bool = True) -> Evaluation:
    """Evaluate a network, and what anyone would try first, on the same prompts.

    Args:
        model: the network, in evaluation mode.
        benchmark: categories with normal images, test images and masks.
        settings: prompts, seeds, size and conditions.
        baselines: also evaluate ``BASELINES``, under the main condition.

    Raises:
        InputError: an image cannot be read, or the network is still in training mode.
    """
    check_evaluation_mode(model)
    chooser = PromptChooser(benchmark, settings, embed=model.embed)
    methods: dict[str, Segmenter] = {OURS: model.segment, **(BASELINES if baselines else {})}
    rows: list[dict[str, Any]] = []
    shares: list[float] = []
    for category in tqdm(benchmark.categories, desc="evaluating", unit="category"):
        rows += _category_rows(category, methods, settings, chooser=chooser, shares=shares)
    return Evaluation(pd.DataFrame(rows), settings, right_class=sum(shares) / len(shares))


def _category_rows(
    category: Category,
    methods: Mapping[str, Segmenter],
    settings: EvalSettings,
    *,
    chooser: PromptChooser,
    shares: list[float],
) -> Iterator[dict[str, Any]]:
    test = load_category(category, size=settings.size)
    for seed, paths in chooser.choose(category, test.images):
        shares.append(chooser.right_class_share(paths, category))
        for number, degrees in enumerate(settings.rotations):
            prompts = load_prompts(paths, size=settings.size, degrees=degrees)
            for name, segment in methods.items():
                if number > 0 and name != OURS:
                    continue
                maps = segment_all(segment, test.images, prompts, batch_size=settings.batch_size)
                place = {
                    "method": name,
                    "condition": f"prompt turned {degrees:g}°",
                    "category": category.name,
                }
                for metric, value in compute_metrics(maps, test.masks, test.labels).items():
                    yield {**place, "seed": seed, "metric": metric, "value": value}


def _block(table: pd.DataFrame, method: str) -> dict[str, Any]:
    rows = {
        str(category): {m: {"mean": float(row[m, "mean"]), "std": float(row[m, "std"])} for m in METRICS}
        for category, row in table.loc[method].iterrows()
    }
    mean = rows.pop(MEAN)
    return {"categories": rows, "mean": mean}

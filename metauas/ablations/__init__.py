"""Ablations: parameter files in, one papermill run each, tables and plots out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metauas.ablations.factors import factor_files
    from metauas.ablations.results.collect import collect_metrics, summary, summary_table
    from metauas.ablations.results.comparison import Comparison, compare, compare_all, comparison_table
    from metauas.ablations.results.kept import all_metrics, kept_origin
    from metauas.ablations.results.paper import beside_paper
    from metauas.ablations.results.plots import plot_factor, show_maps
    from metauas.ablations.sweep import run_sweep

__all__ = [
    "Comparison",
    "all_metrics",
    "beside_paper",
    "collect_metrics",
    "compare",
    "compare_all",
    "comparison_table",
    "factor_files",
    "kept_origin",
    "plot_factor",
    "run_sweep",
    "show_maps",
    "summary",
    "summary_table",
]

_HOMES = {
    "results.collect": ("collect_metrics", "summary", "summary_table"),
    "results.comparison": ("Comparison", "compare", "compare_all", "comparison_table"),
    "factors": ("factor_files",),
    "results.kept": ("all_metrics", "kept_origin"),
    "results.paper": ("beside_paper",),
    "results.plots": ("plot_factor", "show_maps"),
    "sweep": ("run_sweep",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import on first use, because every worker of a sweep would wait for statistics and plots."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

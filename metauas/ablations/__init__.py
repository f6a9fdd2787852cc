"""Ablations: parameter files in, one papermill run each, tables and plots out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metauas.ablations.claims import compare_all, comparison_table
    from metauas.ablations.collect import collect_metrics, summary, summary_table
    from metauas.ablations.comparison import Comparison, compare
    from metauas.ablations.factors import factor_files
    from metauas.ablations.kept import all_metrics, kept_origin
    from metauas.ablations.maps import show_maps
    from metauas.ablations.paper import beside_paper
    from metauas.ablations.plots import plot_factor
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
    "claims": ("compare_all", "comparison_table"),
    "collect": ("collect_metrics", "summary", "summary_table"),
    "comparison": ("Comparison", "compare"),
    "factors": ("factor_files",),
    "kept": ("all_metrics", "kept_origin"),
    "maps": ("show_maps",),
    "paper": ("beside_paper",),
    "plots": ("plot_factor",),
    "sweep": ("run_sweep",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: every worker of a sweep would wait for statistics and plots."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

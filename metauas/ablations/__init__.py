"""Ablations: parameter files in, one papermill run each, tables and plots out."""

from metauas.ablations.claims import compare_all, comparison_table
from metauas.ablations.collect import collect_metrics, summary, summary_table
from metauas.ablations.compare import Comparison, compare
from metauas.ablations.factors import factor_files
from metauas.ablations.maps import show_maps
from metauas.ablations.paper import beside_paper
from metauas.ablations.plots import plot_factor
from metauas.ablations.sweep import run_sweep

__all__ = [
    "Comparison",
    "beside_paper",
    "collect_metrics",
    "compare",
    "compare_all",
    "comparison_table",
    "factor_files",
    "plot_factor",
    "run_sweep",
    "show_maps",
    "summary",
    "summary_table",
]

"""Ablations: parameter files in, one papermill run each, tables and plots out."""

from metauas.ablations.collect import collect_metrics, summary, summary_table
from metauas.ablations.compare import Comparison, compare
from metauas.ablations.plots import plot_factor
from metauas.ablations.sweep import factor_files, run_ablation

__all__ = [
    "Comparison",
    "collect_metrics",
    "compare",
    "factor_files",
    "plot_factor",
    "run_ablation",
    "summary",
    "summary_table",
]

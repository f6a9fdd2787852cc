"""Evaluation: checkpoint and benchmark in, seven metrics per category, maps and report out."""

from metauas.eval.baselines import BASELINES
from metauas.eval.benchmarks.catalogue import CATALOGUE
from metauas.eval.benchmarks.check import check_data
from metauas.eval.benchmarks.layouts import LAYOUTS, Benchmark, Category, Sample, read_benchmark, read_mvtec
from metauas.eval.benchmarks.sources import open_benchmark
from metauas.eval.evaluation import evaluate
from metauas.eval.images.calibration import Calibration, calibrate, read_calibration, write_calibration
from metauas.eval.images.regions import Region, find_regions
from metauas.eval.interface import PromptedNetwork, variants_of
from metauas.eval.miniature import write_miniature
from metauas.eval.prompts.conditions import Condition
from metauas.eval.report.curves import Curve, category_curves
from metauas.eval.report.examples import Example, draw_examples
from metauas.eval.report.gallery import Case, MapGatherer, failures_first, write_cases
from metauas.eval.report.page import write_report
from metauas.eval.report.paper import beside_paper, find_dataset, paper_results
from metauas.eval.results import Evaluation
from metauas.eval.robustness import DISTURBANCES, Robustness, measure_robustness
from metauas.eval.settings import PROMPT_SEEDS, PROMPTS, EvalSettings
from metauas.metrics import METRICS, compute_metrics

__all__ = [
    "BASELINES",
    "CATALOGUE",
    "DISTURBANCES",
    "LAYOUTS",
    "METRICS",
    "PROMPTS",
    "PROMPT_SEEDS",
    "Benchmark",
    "Calibration",
    "Case",
    "Category",
    "Condition",
    "Curve",
    "EvalSettings",
    "Evaluation",
    "Example",
    "MapGatherer",
    "PromptedNetwork",
    "Region",
    "Robustness",
    "Sample",
    "beside_paper",
    "calibrate",
    "category_curves",
    "check_data",
    "compute_metrics",
    "draw_examples",
    "evaluate",
    "failures_first",
    "find_dataset",
    "find_regions",
    "measure_robustness",
    "open_benchmark",
    "paper_results",
    "read_benchmark",
    "read_calibration",
    "read_mvtec",
    "variants_of",
    "write_calibration",
    "write_cases",
    "write_miniature",
    "write_report",
]

"""Evaluation: checkpoint and benchmark in, seven metrics per category, maps and report out."""

from metauas.eval.baselines import BASELINES
from metauas.eval.calibration import Calibration, calibrate, read_calibration, write_calibration
from metauas.eval.catalogue import CATALOGUE
from metauas.eval.conditions import Condition
from metauas.eval.data_check import check_data
from metauas.eval.evaluation import evaluate
from metauas.eval.examples import Example, draw_examples
from metauas.eval.layouts import LAYOUTS, Benchmark, Category, Sample, read_benchmark, read_mvtec
from metauas.eval.miniature import write_miniature
from metauas.eval.network import PromptedNetwork
from metauas.eval.prompts import PROMPTS
from metauas.eval.regions import Region, find_regions
from metauas.eval.results import OURS, Evaluation
from metauas.eval.settings import PROMPT_SEEDS, EvalSettings
from metauas.eval.sources import open_benchmark
from metauas.metrics import METRICS, compute_metrics

__all__ = [
    "BASELINES",
    "CATALOGUE",
    "LAYOUTS",
    "METRICS",
    "OURS",
    "PROMPTS",
    "PROMPT_SEEDS",
    "Benchmark",
    "Calibration",
    "Category",
    "Condition",
    "EvalSettings",
    "Evaluation",
    "Example",
    "PromptedNetwork",
    "Region",
    "Sample",
    "calibrate",
    "check_data",
    "compute_metrics",
    "draw_examples",
    "evaluate",
    "find_regions",
    "open_benchmark",
    "read_benchmark",
    "read_calibration",
    "read_mvtec",
    "write_calibration",
    "write_miniature",
]

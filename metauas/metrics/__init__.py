"""The metrics of the field, for training and evaluation."""

from metauas.metrics.accumulate import ExactMetrics, StreamingMetrics
from metauas.metrics.binary import SEG_F1, segmentation_f1
from metauas.metrics.compute import average_metrics, compute_metrics
from metauas.metrics.exact import EXTRAS, METRICS
from metauas.metrics.official import compute_metrics_official

__all__ = [
    "EXTRAS",
    "METRICS",
    "SEG_F1",
    "ExactMetrics",
    "StreamingMetrics",
    "average_metrics",
    "compute_metrics",
    "compute_metrics_official",
    "segmentation_f1",
]

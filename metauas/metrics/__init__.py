"""The metrics of the field, for training and evaluation."""

from metauas.metrics.accumulate import ExactMetrics, StreamingMetrics
from metauas.metrics.compute import EXTRAS, METRICS, SEG_F1, average_metrics, compute_metrics, segmentation_f1
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

"""The seven metrics of the field, exact; on the ground floor because training and evaluation both need them."""

from metauas.metrics.compute import METRICS, average_metrics, compute_metrics

__all__ = ["METRICS", "average_metrics", "compute_metrics"]

"""Training: pairs and a model in, a checkpoint and learning curves out."""

from metauas.train.data import training_pairs
from metauas.train.launch import launch
from metauas.train.loop import SavingError, TrainResult, train
from metauas.train.settings import TrainSettings
from metauas.train.validation import held_out_examples, read_maps, validate

__all__ = [
    "SavingError",
    "TrainResult",
    "TrainSettings",
    "held_out_examples",
    "launch",
    "read_maps",
    "train",
    "training_pairs",
    "validate",
]

"""Training: pairs and a model in, a checkpoint and learning curves out."""

from metauas.train.examples import held_out_examples
from metauas.train.loop import TrainResult, train, training_pairs
from metauas.train.settings import TrainSettings
from metauas.train.validation import validate

__all__ = ["TrainResult", "TrainSettings", "held_out_examples", "train", "training_pairs", "validate"]

"""Model: query and prompt in, anomaly map out; checkpoints in and out."""

from metauas.model.alignment import ALIGNMENTS, FUSIONS, SIMILARITIES, FeatureAlignment
from metauas.model.checkpoint import load_checkpoint, save_checkpoint
from metauas.model.config import PRESETS, ModelConfig, model_config
from metauas.model.description import attention_of, describe_parameters, describe_stages, residual_of
from metauas.model.network import EncodedPrompt, MetaUAS

__all__ = [
    "ALIGNMENTS",
    "FUSIONS",
    "PRESETS",
    "SIMILARITIES",
    "EncodedPrompt",
    "FeatureAlignment",
    "MetaUAS",
    "ModelConfig",
    "attention_of",
    "create_model",
    "describe_parameters",
    "describe_stages",
    "load_checkpoint",
    "model_config",
    "residual_of",
    "save_checkpoint",
]


def create_model(preset: str = "nano", **changes: object) -> MetaUAS:
    """Create a network from a preset (``b4``, ``nano``), with choices of ``ModelConfig`` changed by keyword.

    Raises:
        InputError: a preset, choice or value that is not known.
        WeightsUnavailableError: ``b4`` without a network; says the ways out.
    """
    return MetaUAS(model_config(preset, **changes))

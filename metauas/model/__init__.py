"""Model: query and prompt in, anomaly map out; checkpoints in and out."""

from metauas.model.alignment import ALIGNMENTS, SIMILARITIES, FeatureAlignment
from metauas.model.config import PRESETS, ModelConfig, network_config
from metauas.model.description import (
    attention_of,
    describe_parameters,
    describe_stages,
    look_of,
    possible_alignments,
    residual_of,
    with_alignment,
)
from metauas.model.fusion import FUSIONS
from metauas.model.network import Features, MetaUAS
from metauas.model.share.export import export_model
from metauas.model.share.fast import fast_copy
from metauas.model.share.onnx_runtime import OnnxSegmenter
from metauas.model.variants.plus import PLUS, MetaUASPlus, with_plus
from metauas.model.variants.scales import SCALES, ScaleAverage
from metauas.model.variants.tiles import TiledNetwork
from metauas.model.variants.visual_similarity import EncoderSimilarity, TowerSimilarity
from metauas.model.weights.checkpoint import load_checkpoint, save_checkpoint
from metauas.model.weights.official import load_official

__all__ = [
    "ALIGNMENTS",
    "FUSIONS",
    "PLUS",
    "PRESETS",
    "SCALES",
    "SIMILARITIES",
    "EncoderSimilarity",
    "FeatureAlignment",
    "Features",
    "MetaUAS",
    "MetaUASPlus",
    "ModelConfig",
    "OnnxSegmenter",
    "ScaleAverage",
    "TiledNetwork",
    "TowerSimilarity",
    "attention_of",
    "create_model",
    "describe_parameters",
    "describe_stages",
    "export_model",
    "fast_copy",
    "load_checkpoint",
    "load_official",
    "look_of",
    "network_config",
    "possible_alignments",
    "residual_of",
    "save_checkpoint",
    "with_alignment",
    "with_plus",
]


def create_model(preset: str = "lite", **changes: object) -> MetaUAS:
    """Create a network from a preset (``lite``, ``b4``), with choices of ``ModelConfig`` changed by keyword.

    Raises:
        InputError: a preset, choice or value that is not known.
        WeightsUnavailableError: ``b4`` without its weights in the hub's cache and without a network.
    """
    return MetaUAS(network_config(preset, **changes))

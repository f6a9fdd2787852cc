"""Synthesis: pictures (with object masks and textures) in, pairs with a known change out."""

from metauas.synthesis.dataset import PairBatch, PairDataset, collate, embedded_synthesizer, pair_loader
from metauas.synthesis.description import describe_pairs, pairs_of_kind, summarise_pairs
from metauas.synthesis.inpainting import Inpainter, OpenCVInpainter
from metauas.synthesis.local import FILLINGS, REGIONS, LocalChange
from metauas.synthesis.pairs import DEFAULT_MIXTURE, KINDS, ChangePair, PairSynthesizer, visible_change
from metauas.synthesis.photographs import TRAINING_PHOTOGRAPHS, VALIDATION_PHOTOGRAPHS, Photographs
from metauas.synthesis.pictures import MixedSource, Picture, PictureSource
from metauas.synthesis.scenes import DrawnScenes, DrawnTextures
from metauas.synthesis.variation import Variation

__all__ = [
    "DEFAULT_MIXTURE",
    "FILLINGS",
    "KINDS",
    "REGIONS",
    "TRAINING_PHOTOGRAPHS",
    "VALIDATION_PHOTOGRAPHS",
    "ChangePair",
    "DrawnScenes",
    "DrawnTextures",
    "Inpainter",
    "LocalChange",
    "MixedSource",
    "OpenCVInpainter",
    "PairBatch",
    "PairDataset",
    "PairSynthesizer",
    "Photographs",
    "Picture",
    "PictureSource",
    "Variation",
    "collate",
    "describe_pairs",
    "embedded_synthesizer",
    "pair_loader",
    "pairs_of_kind",
    "summarise_pairs",
    "visible_change",
]

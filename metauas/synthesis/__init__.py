"""Synthesis: pictures (with object masks and textures) in, pairs with a known change out."""

from typing import TYPE_CHECKING, Any

from metauas.errors import InputError
from metauas.synthesis.augmentation import AUGMENTERS, augment_texture
from metauas.synthesis.coco import CocoPictures
from metauas.synthesis.cyws import CywsPairs
from metauas.synthesis.dataset import PairBatch, PairDataset, collate, embedded_synthesizer, pair_loader
from metauas.synthesis.description import describe_pairs, pairs_of_kind, summarise_pairs
from metauas.synthesis.diffusion import DiffusersInpainter
from metauas.synthesis.inpainting import Inpainter, OpenCVInpainter
from metauas.synthesis.inspection import Inspection, inspect_pairs, open_pairs
from metauas.synthesis.lama import LamaInpainter
from metauas.synthesis.local import FILLINGS, LOCAL_PRESETS, REGIONS, LocalChange
from metauas.synthesis.masked_folder import MaskedFolder
from metauas.synthesis.pairs import DEFAULT_MIXTURE, KINDS, ChangePair, PairSynthesizer, visible_change
from metauas.synthesis.photographs import TRAINING_PHOTOGRAPHS, VALIDATION_PHOTOGRAPHS, Photographs
from metauas.synthesis.pictures import MixedSource, Picture, PictureSource
from metauas.synthesis.presets import PRESETS
from metauas.synthesis.recipe import SynthesisSettings, build_synthesizer, read_recipe
from metauas.synthesis.scenes import DrawnScenes, DrawnTextures
from metauas.synthesis.textures_folder import TextureFolder
from metauas.synthesis.variation import Variation

if TYPE_CHECKING:
    from metauas.synthesis.writing import (
        PairStream,
        ShardsFailedError,
        WrittenPairs,
        push_pairs,
        stream_pairs,
        write_pairs,
    )

__all__ = [
    "AUGMENTERS",
    "DEFAULT_MIXTURE",
    "FILLINGS",
    "KINDS",
    "LOCAL_PRESETS",
    "PRESETS",
    "REGIONS",
    "TRAINING_PHOTOGRAPHS",
    "VALIDATION_PHOTOGRAPHS",
    "ChangePair",
    "CocoPictures",
    "CywsPairs",
    "DiffusersInpainter",
    "DrawnScenes",
    "DrawnTextures",
    "Inpainter",
    "Inspection",
    "LamaInpainter",
    "LocalChange",
    "MaskedFolder",
    "MixedSource",
    "OpenCVInpainter",
    "PairBatch",
    "PairDataset",
    "PairStream",
    "PairSynthesizer",
    "Photographs",
    "Picture",
    "PictureSource",
    "ShardsFailedError",
    "SynthesisSettings",
    "TextureFolder",
    "Variation",
    "WrittenPairs",
    "augment_texture",
    "build_synthesizer",
    "collate",
    "describe_pairs",
    "embedded_synthesizer",
    "inspect_pairs",
    "open_pairs",
    "pair_loader",
    "pairs_of_kind",
    "push_pairs",
    "read_recipe",
    "stream_pairs",
    "summarise_pairs",
    "visible_change",
    "write_pairs",
]

_WRITING = ("PairStream", "ShardsFailedError", "WrittenPairs", "push_pairs", "stream_pairs", "write_pairs")


def __getattr__(name: str) -> Any:
    """Import what writes and reads shards only when it is asked for: parquet is an extra."""
    if name not in _WRITING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from metauas.synthesis import writing
    except ModuleNotFoundError as error:
        raise InputError(f"{name} needs {error.name}; install it with: pip install 'metauas[data]'") from error
    return getattr(writing, name)

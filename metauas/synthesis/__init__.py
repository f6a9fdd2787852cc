"""Synthesis: pictures (with object masks and textures) in, pairs with a known change out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metauas.errors import InputError
from metauas.synthesis.changes.augmentation import AUGMENTERS, augment_texture
from metauas.synthesis.changes.diffusion import DiffusersInpainter
from metauas.synthesis.changes.inpainting import Inpainter, OpenCVInpainter
from metauas.synthesis.changes.lama import LamaInpainter
from metauas.synthesis.changes.local_region import FILLINGS, LOCAL_PRESETS, REGIONS, LocalChange
from metauas.synthesis.dataset import PairBatch, PairDataset, collate, pair_loader
from metauas.synthesis.drawn.scenes import DrawnScenes, DrawnTextures
from metauas.synthesis.inspection.findings import (
    Inspection,
    describe_pairs,
    inspect_pairs,
    pairs_of_kind,
    summarise_pairs,
)
from metauas.synthesis.pairs import DEFAULT_MIXTURE, KINDS, ChangePair, PairSynthesizer, visible_change
from metauas.synthesis.pictures.coco import CocoPictures
from metauas.synthesis.pictures.masked_folder import MaskedFolder
from metauas.synthesis.pictures.photographs import TRAINING_PHOTOGRAPHS, VALIDATION_PHOTOGRAPHS, Photographs
from metauas.synthesis.pictures.picture import MixedSource, Picture, PictureSource
from metauas.synthesis.pictures.texture_folder import TextureFolder
from metauas.synthesis.presets import PRESETS
from metauas.synthesis.recipe import SynthesisSettings, build_synthesizer, embedded_synthesizer, read_recipe
from metauas.synthesis.variation import Variation
from metauas.synthesis.written.cyws import CywsPairs
from metauas.synthesis.written.opening import open_pairs

if TYPE_CHECKING:
    from metauas.synthesis.written.reading import PairStream, WrittenPairs, stream_pairs
    from metauas.synthesis.written.run import ShardsFailedError, push_pairs, write_pairs

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

_WRITTEN = {
    "PairStream": "reading",
    "ShardsFailedError": "run",
    "WrittenPairs": "reading",
    "push_pairs": "run",
    "stream_pairs": "reading",
    "write_pairs": "run",
}


def __getattr__(name: str) -> Any:
    """Import what writes and reads shards only when it is asked for: parquet is an extra."""
    if name not in _WRITTEN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.written.{_WRITTEN[name]}"), name)
    except ModuleNotFoundError as error:
        raise InputError(f"{name} needs {error.name}; install it with: pip install 'metauas[data]'") from error

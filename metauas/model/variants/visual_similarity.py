"""Visual similarity: how little each place of a query resembles its most similar place of the prompts.

Nothing here learns. The score is the one that WinCLIP has for few normal images (Jeong et al., CVPR 2023):
½ (1 − the highest cosine with any place of the prompts). With the features of a frozen convolutional encoder it is
close to PatchCore (Roth et al., CVPR 2022) with the prompt as the memory bank.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError, WeightsUnavailableError, did_you_mean
from metauas.files import require_file
from metauas.model.encoder import Encoder, Normalise, create_encoder
from metauas.model.nearest_features import as_bank, distance_to_nearest, unit_means
from metauas.model.network import padded

if TYPE_CHECKING:
    from timm.models import VisionTransformer

#: The paper's image tower, and the only weights that timm has for it.
CLIP_TOWER = "vit_base_patch16_plus_clip_240"
CLIP_WEIGHTS = "laion400m_e32"

_COMPARED = (8, 16)  # strides of the stages of a convolutional encoder

#: Unit vectors of the prompts' patches, (1 or B, K·N, C) for each compared layer.
EncodedPatches = tuple[Tensor, ...]


class Similarity(nn.Module):
    """What all kinds of visual similarity share: prompts encoded once, and the score of queries against them.

    Images are float32 RGB in [0, 1] of any size. The map is computed in float32, also under autocast or with an
    encoder in half precision.

    Attributes:
        label: what tables call it.
    """

    label: str

    def train(self, mode: bool = True) -> "Similarity":
        """Stay in evaluation, whatever the network around it does."""
        super().train(False)
        return self

    def patches(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return unit vectors (B, C, rows, columns) for each compared layer."""
        raise NotImplementedError

    @torch.no_grad()
    def encode_prompt(self, prompt: Float[Tensor, "p *k 3 h w"]) -> EncodedPatches:
        """Encode prompts once, to be used for many queries.

        Args:
            prompt: one for all queries or one for each, (1 or B, 3, H, W); or K of them, (1 or B, K, 3, H, W).

        Returns:
            For each compared layer the unit vectors of all patches, (1 or B, K·N, C).
        """
        return tuple(as_bank(layer, prompts=len(prompt)) for layer in self.patches(prompt.flatten(0, -4)))

    @torch.no_grad()
    def segment(self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | EncodedPatches) -> Float[Tensor, "b 1 h w"]:
        """Return ½ (1 − highest cosine with any prompt patch), resized bilinearly to the queries' size.

        Args:
            queries: images under test.
            prompt: as for ``encode_prompt``, or what it returned.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        encoded = self.encode_prompt(prompt) if isinstance(prompt, Tensor) else prompt
        if len(encoded[0]) not in (1, len(queries)):
            raise InputError(
                f"{len(encoded[0])} prompts for {len(queries)} queries; give one, or one for each, "
                "or several for all of them as (1, K, 3, H, W)"
            )
        return dissimilarity(self.patches(queries), encoded, size=queries.shape[-2:])


class EncoderSimilarity(Similarity):
    """Visual similarity of a convolutional encoder's features, stages of stride 8 and 16, means of 3 × 3 places.

    Args:
        encoder: timm's name, as ``create_encoder`` takes it.
        weights: ``imagenet``, ``random`` or a file, as ``create_encoder`` takes them.

    Raises:
        InputError: the encoder is not known, or has no stage of stride 8 or 16.
        WeightsUnavailableError: the weights cannot be had; says what to do without a network.

    Example:
        >>> similarity = EncoderSimilarity()
        >>> similarity.segment(torch.rand(2, 3, 256, 256), torch.rand(1, 3, 256, 256))  # (2, 1, 256, 256) in [0, 1]
    """

    def __init__(self, encoder: str = "tf_efficientnet_lite0", *, weights: str = "imagenet") -> None:
        super().__init__()
        self.label = f"visual similarity ({encoder})"
        self.encoder = create_encoder(encoder, weights=weights)
        self.normalise = Normalise(mean=self.encoder.mean, std=self.encoder.std)
        check_strides(self.encoder)
        self.requires_grad_(False).eval()

    def patches(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return unit vectors (B, C, rows, columns) for the stages of stride 8 and 16."""
        divisible = padded(images.to(self.normalise.mean), divisor=self.encoder.strides[-1])
        stages = self.encoder(self.normalise(divisible))
        return stage_patches(stages, strides=self.encoder.strides, size=images.shape[-2:])


class TowerSimilarity(Similarity):
    """Visual similarity of a vision transformer's patch tokens, by default of CLIP's image tower.

    Images are resized to the tower's square as CLIP does (bicubic, antialiased) but without cropping, since every
    pixel of the query needs a score, and take the tower's own mean and deviation. Tokens are taken after the last norm
    and not projected.

    Args:
        weights: a tag of timm's for this tower (``laion400m_e32``), ``random``, or the path of a weights file in
            timm's layout.
        name: any vision transformer of timm.
        layers: blocks whose patch tokens are compared, from 0, or from the end as -1; their maps are averaged.

    Raises:
        InputError: the name, a layer or the weights are not known, or the file is damaged or of another model.
        WeightsUnavailableError: the weights cannot be had; says what to do without a network.
    """

    tower: "VisionTransformer"

    def __init__(
        self, weights: str | Path = CLIP_WEIGHTS, *, name: str = CLIP_TOWER, layers: Sequence[int] = (-1,)
    ) -> None:
        super().__init__()
        from timm.data.config import resolve_model_data_config

        self.label = "CLIP" if name == CLIP_TOWER else f"visual similarity ({name})"
        self.tower = cast("VisionTransformer", _create_tower(name, weights=str(weights)))
        self.layers = _checked_layers(layers, depth=len(self.tower.blocks))
        expected = resolve_model_data_config(self.tower)
        self.size = tuple(expected["input_size"][-2:])
        self.normalise = Normalise(mean=expected["mean"], std=expected["std"])
        self.requires_grad_(False).eval()

    def patches(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return unit vectors (B, C, rows, columns) for each compared layer."""
        moved = images.to(self.normalise.mean.device).float()
        resized = F.interpolate(moved, size=self.size, mode="bicubic", antialias=True)
        normalised = self.normalise(resized.clamp(0, 1).to(self.normalise.mean))  # bicubic overshoots at edges
        stages = self.tower.forward_intermediates(
            normalised, indices=list(self.layers), norm=True, stop_early=True, intermediates_only=True
        )
        return [F.normalize(stage.float(), dim=1) for stage in cast(list[Tensor], stages)]


def stage_patches(stages: Sequence[Tensor], *, strides: Sequence[int], size: Sequence[int]) -> list[Tensor]:
    """Return unit vectors (B, C, rows, columns) of the means of 3 × 3 places, of the stages of stride 8 and 16.

    Args:
        stages: an encoder's, (B, C, H / stride, W / stride), shallow to deep, perhaps of padded images.
        strides: their strides.
        size: height and width of the images, pixels; places beyond them are cut off.
    """
    height, width = size
    return [
        unit_means(stage[..., : math.ceil(height / stride), : math.ceil(width / stride)])
        for stage, stride in zip(stages, strides, strict=True)
        if stride in _COMPARED
    ]


def check_strides(encoder: Encoder) -> None:
    """Raise ``InputError`` if an encoder lacks a stage that is compared."""
    if not set(_COMPARED) <= set(encoder.strides):
        raise InputError(f"visual similarity compares stages of stride 8 and 16; this encoder has {encoder.strides}")


def dissimilarity(patches: Sequence[Tensor], bank: EncodedPatches, *, size: Sequence[int]) -> Float[Tensor, "b 1 h w"]:
    """Return the mean over layers of ½ (1 − highest cosine with the bank), resized bilinearly to ``size``.

    Args:
        patches: unit vectors of the queries, (B, C, rows, columns) for each layer.
        bank: those of the prompts for each layer, as ``as_bank`` returns them.
        size: height and width of the maps, pixels.
    """
    maps = [
        F.interpolate(distance_to_nearest(layer, normal), size=tuple(size), mode="bilinear")
        for layer, normal in zip(patches, bank, strict=True)
    ]
    return torch.stack(maps).mean(dim=0)


def _create_tower(name: str, *, weights: str) -> nn.Module:
    import timm
    from timm.models import VisionTransformer

    from metauas.model.weights.pretrained import create_timm

    if not timm.is_model(name):
        raise InputError(f"tower {name!r} is not known to timm{did_you_mean(name, timm.list_models('*vit*'))}")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{name}.*")]
    ways = f"give the path of a weights file in timm's layout, 'random', or timm's own {' or '.join(tags)}"
    if weights not in ("random", *tags):
        require_file(weights, hint=ways)
    try:
        if weights in tags:  # timm takes what follows the dot as the choice among its weights
            tower = create_timm(f"{name}.{weights}", weights="imagenet", num_classes=0)
        else:
            tower = create_timm(name, weights=weights, num_classes=0)
    except WeightsUnavailableError as error:
        raise WeightsUnavailableError(
            f"weights {weights!r} of tower {name!r}: {error.__cause__}; without a network, {ways}"
        ) from error
    if not isinstance(tower, VisionTransformer):
        raise InputError(f"tower {name!r} is no vision transformer with patch tokens; choose one, such as {CLIP_TOWER}")
    return tower


def _checked_layers(layers: Sequence[int], *, depth: int) -> tuple[int, ...]:
    if not layers or any(not -depth <= layer < depth for layer in layers):
        raise InputError(f"layers={tuple(layers)}: give one or more blocks from {-depth} to {depth - 1}")
    return tuple(layers)

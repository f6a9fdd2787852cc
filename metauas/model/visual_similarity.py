"""MetaUAS★+: the network's map together with the visual similarity of a CLIP image tower's patches (paper, table 1).

Known from the paper's tables: the variant adds the image tower of CLIP's ViT-B/16+ at 240 pixels, without its text
tower (139.3 million parameters, of which 117.2 are the tower), and takes the one most similar prompt. Its time
(204.8 ms, against 3.1 of the network and 201.3 of WinCLIP) suggests WinCLIP's sliding windows as well. The author's
code for it is not public.

Our choices: the score that WinCLIP has for few normal images (Jeong et al., CVPR 2023), ½ (1 − the highest cosine with
any patch of the prompts), of whole images only, without windows; patch tokens after the last norm, not projected; the
plain average of both maps.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError, WeightsUnavailableError, did_you_mean
from metauas.files import require_file
from metauas.model.network import EncodedPrompt, MetaUAS

if TYPE_CHECKING:
    from timm.models import VisionTransformer

#: The paper's image tower, and the only weights that timm has for it.
CLIP_TOWER = "vit_base_patch16_plus_clip_240"
CLIP_WEIGHTS = "laion400m_e32"

#: Unit vectors of the prompts' patches, (1 or B, K·N, C) for each compared layer.
EncodedPatches = tuple[Tensor, ...]


class VisualSimilarity(nn.Module):
    """How little each patch of a query resembles its most similar patch of the prompts; nothing here learns.

    Images are float32 RGB in [0, 1] of any size. They are resized to the tower's square as CLIP does (bicubic,
    antialiased) but without cropping, since every pixel of the query needs a score, and take CLIP's own mean and
    deviation. The map is computed in float32, also under autocast or with a tower in half precision.

    Args:
        weights: a tag of timm's for this tower (``laion400m_e32``), ``random``, or the path of a weights file in
            timm's layout.
        name: any vision transformer of timm.
        layers: blocks whose patch tokens are compared, from 0, or from the end as -1; their maps are averaged.

    Raises:
        InputError: the name, a layer or the weights are not known, or the file is damaged or of another model.
        WeightsUnavailableError: the weights cannot be had; says what to do without a network.

    Example:
        >>> similarity = VisualSimilarity()
        >>> similarity.segment(torch.rand(2, 3, 256, 256), torch.rand(1, 3, 256, 256))  # (2, 1, 256, 256) in [0, 1]
    """

    tower: "VisionTransformer"
    mean: Tensor
    std: Tensor

    def __init__(
        self, weights: str | Path = CLIP_WEIGHTS, *, name: str = CLIP_TOWER, layers: Sequence[int] = (-1,)
    ) -> None:
        super().__init__()
        from timm.data.config import resolve_model_data_config  # only now: timm takes seconds to import

        self.tower = cast("VisionTransformer", _create_tower(name, weights=str(weights)))
        self.layers = _checked_layers(layers, depth=len(self.tower.blocks))
        expected = resolve_model_data_config(self.tower)
        self.size = tuple(expected["input_size"][-2:])
        self.register_buffer("mean", torch.tensor(expected["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(expected["std"]).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "VisualSimilarity":
        """Stay in evaluation, whatever the network around it does."""
        super().train(False)
        return self

    @torch.no_grad()
    def encode_prompt(self, prompt: Float[Tensor, "p *k 3 h w"]) -> EncodedPatches:
        """Encode prompts once, to be used for many queries.

        Args:
            prompt: one for all queries or one for each, (1 or B, 3, H, W); or K of them, (1 or B, K, 3, H, W).

        Returns:
            For each compared layer the unit vectors of all patches, (1 or B, K·N, C).
        """
        stages = self._patches(prompt.flatten(0, -4))
        return tuple(stage.flatten(2).transpose(1, 2).reshape(len(prompt), -1, stage.shape[1]) for stage in stages)

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
        pairs = zip(self._patches(queries), encoded, strict=True)
        scores = torch.stack([_dissimilarity(patches, normal) for patches, normal in pairs]).mean(dim=0)
        return F.interpolate(scores, size=queries.shape[-2:], mode="bilinear")

    def _patches(self, images: Tensor) -> list[Tensor]:
        """Return unit vectors (B, C, rows, columns) for each compared layer."""
        resized = F.interpolate(images.to(self.mean.device).float(), size=self.size, mode="bicubic", antialias=True)
        normalised = (resized.clamp(0, 1).to(self.mean) - self.mean) / self.std  # bicubic overshoots at edges
        stages = self.tower.forward_intermediates(
            normalised, indices=list(self.layers), norm=True, stop_early=True, intermediates_only=True
        )
        return [F.normalize(stage.float(), dim=1) for stage in cast(list[Tensor], stages)]


class MetaUASPlus(nn.Module):
    """MetaUAS★+: a network and a ``VisualSimilarity`` behind the network's own doors, so that it can take its place.

    Args:
        model: the network, in evaluation mode.
        similarity: what is added to its map.
        weight: share of the similarity's map, from 0 to 1; the rest is the network's.

    Raises:
        InputError: the weight is out of range.
    """

    def __init__(self, model: MetaUAS, similarity: VisualSimilarity, weight: float = 0.5) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            raise InputError(f"weight={weight} is no share; give a number from 0 (network alone) to 1")
        self.model = model
        self.similarity = similarity
        self.weight = weight
        self.train(model.training)

    def encode_prompt(self, prompt: Float[Tensor, "p *k 3 h w"]) -> tuple[EncodedPrompt, EncodedPatches]:
        """Encode prompts once, to be used for many queries.

        Args:
            prompt: one for all queries or one for each, (1 or B, 3, H, W); or K of them, (1 or B, K, 3, H, W).
        """
        return self.model.encode_prompt(prompt), self.similarity.encode_prompt(prompt)

    @torch.no_grad()
    def segment(
        self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | tuple[EncodedPrompt, EncodedPatches]
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the weighted mean of both maps, in [0, 1], for prompt images or encoded ones.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        features, patches = self.encode_prompt(prompt) if isinstance(prompt, Tensor) else prompt
        change = self.model.segment(queries, features).float()
        return change.lerp(self.similarity.segment(queries, patches).to(change.device), self.weight)

    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return the network's own vectors: it chooses the prompt (paper, section 3.4)."""
        return self.model.embed(images)


def _dissimilarity(query: Float[Tensor, "b c h w"], normal: Float[Tensor, "p n c"]) -> Float[Tensor, "b 1 h w"]:
    with torch.autocast(query.device.type, enabled=False):  # cosines near 1 need all of float32
        cosines = normal @ query.flatten(2)
    nearest = cosines.amax(dim=1, keepdim=True).unflatten(2, query.shape[-2:])
    return ((1 - nearest) / 2).clamp(0, 1)  # rounding can take a cosine past 1


def _create_tower(name: str, *, weights: str) -> nn.Module:
    import timm
    from timm.models import VisionTransformer

    from metauas.model.pretrained import create_timm

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

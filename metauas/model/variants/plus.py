"""MetaUAS★+: the network's map together with a visual similarity (paper, table 1).

Known from the paper's tables: the variant adds the image tower of CLIP's ViT-B/16+ at 240 pixels, without its text
tower (139.3 million parameters, of which 117.2 are the tower), and takes the one most similar prompt. Its time
(204.8 ms, against 3.1 of the network and 201.3 of WinCLIP) suggests WinCLIP's sliding windows as well. The author's
code for it is not public.

Our choices: whole images only, without windows, and the plain average of both maps. The similarity can also be that of
the network's own frozen encoder, which needs no download and no further encoder pass.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metauas.errors import InputError, check_choice
from metauas.model.nearest_features import as_bank
from metauas.model.network import Features, MetaUAS
from metauas.model.variants.visual_similarity import (
    EncodedPatches,
    Similarity,
    TowerSimilarity,
    check_strides,
    dissimilarity,
    stage_patches,
)

#: What ★+ can add to a network: the similarity of its own encoder's features, or of CLIP's image tower.
PLUS = ("encoder", "clip")

_SMALLEST = 1e-6  # probability whose logit is taken for smaller ones


class MetaUASPlus(nn.Module):
    """A network and a visual similarity with the network's own methods, so that it can take the network's place.

    Args:
        model: the network, in evaluation mode.
        similarity: what is added to its map; None takes the features of the network's own encoder.
        weight: share of the similarity's map, from 0 to 1; the rest is the network's.

    Raises:
        InputError: the weight is out of range, or the network's encoder has no stage of stride 8 or 16.

    Example:
        >>> plus = MetaUASPlus(load_checkpoint("lite"))
        >>> anomaly_map = plus.segment(queries, prompt)  # (B, 1, H, W) in [0, 1]
    """

    def __init__(self, model: MetaUAS, similarity: Similarity | None = None, weight: float = 0.5) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            raise InputError(f"weight={weight} is no share; give a number from 0 (network alone) to 1")
        if similarity is None:
            check_strides(model.encoder)
        self.model = model
        self.similarity = similarity
        self.weight = weight
        self.train(model.training)

    @property
    def label(self) -> str:
        """What tables call it: the network, and what is added."""
        return f"{self.model.label} + " + ("visual similarity" if self.similarity is None else self.similarity.label)

    @torch.no_grad()
    def encode_prompt(self, prompt: Float[Tensor, "p *k 3 h w"]) -> tuple[Features, EncodedPatches]:
        """Encode prompts once, to be used for many queries.

        Args:
            prompt: one for all queries or one for each, (1 or B, 3, H, W); or K of them, (1 or B, K, 3, H, W).
        """
        features = self.model.encode_prompt(prompt)
        if self.similarity is not None:
            return features, self.similarity.encode_prompt(prompt)
        stages = tuple(stage.flatten(0, -4) for stage in features)
        return features, tuple(as_bank(p, prompts=len(prompt)) for p in self._patches(stages, like=prompt))

    @torch.no_grad()
    def segment(
        self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | tuple[Features, EncodedPatches]
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the weighted mean of both maps, in [0, 1], for prompt images or encoded ones.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        features, patches = self.encode_prompt(prompt) if isinstance(prompt, Tensor) else prompt
        query = self.model.encode(queries)
        change = self.model.decode(query, features, like=queries).sigmoid().float()
        if self.similarity is None:
            unlike = dissimilarity(self._patches(query, like=queries), patches, size=queries.shape[-2:])
        else:
            unlike = self.similarity.segment(queries, patches)
        return change.lerp(unlike.to(change.device), self.weight)

    def logits(
        self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | tuple[Features, EncodedPatches]
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the logits of the maps, as ``ScaleAverage`` averages them; see ``segment``."""
        return self.segment(queries, prompt).logit(eps=_SMALLEST)

    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return the network's own vectors: it chooses the prompt (paper, section 3.4)."""
        return self.model.embed(images)

    def _patches(self, stages: Features, *, like: Tensor) -> list[Tensor]:
        return stage_patches(stages, strides=self.model.encoder.strides, size=like.shape[-2:])


def with_plus(model: MetaUAS, plus: str) -> MetaUASPlus:
    """Return a network with what ``plus``, one of ``PLUS``, adds to it.

    Raises:
        InputError: the choice is not known, or the network's encoder has no stage of stride 8 or 16.
        WeightsUnavailableError: the tower's weights cannot be had; says what to do without a network.
    """
    check_choice(name="plus", value=plus, choices=PLUS)
    return MetaUASPlus(model) if plus == "encoder" else MetaUASPlus(model, TowerSimilarity())

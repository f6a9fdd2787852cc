"""The MetaUAS network: query and one normal prompt in, the probability of change per query pixel out."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model.alignment import FeatureAlignment
from metauas.model.config import ModelConfig
from metauas.model.decoder import create_decoder
from metauas.model.encoder import Normalise, create_encoder
from metauas.model.fusion import Fusion
from metauas.model.share.hub import HubMixin

_PIXELS_AT_ONCE = 2 * 256**2  # of queries on a CPU: more would leave its caches and take longer in all

#: Features of images, one tensor per encoder stage, shallow to deep; of K prompts (1 or B, K, C, H, W).
Features = tuple[Tensor, ...]


class MetaUAS(HubMixin):
    """Change segmentation with one normal image as the prompt (Gao, NeurIPS 2024, figure 2).

    Images are float32 RGB in [0, 1], (B, 3, H, W); any size: what the encoder's stride does not divide is padded
    and the map cropped again. A single prompt (1, 3, H, W) serves a whole batch of queries. Several prompts of a
    query, (B or 1, K, 3, H, W), are aligned to it one by one and their aligned features averaged.

    The network may be of another type and on another device than the images (``model.bfloat16()``): they are brought
    to it, and the map is of the query's type, so that half precision makes no ties of close probabilities.

    Args:
        config: every choice that shapes the network.

    Example:
        >>> model = create_model("lite").eval()
        >>> anomaly_map = model(torch.rand(2, 3, 96, 96), torch.rand(1, 3, 96, 96))  # (2, 1, 96, 96) in [0, 1]
    """

    folded = False  # True for fast_copy's copies, which can only segment

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = create_encoder(config.encoder, weights=config.encoder_weights)
        self.normalise = Normalise(mean=self.encoder.mean, std=self.encoder.std)
        channels, count = self.encoder.channels, config.aligned_stages
        if count >= len(channels):
            raise InputError(f"aligned_stages={count}: encoder {config.encoder!r} allows 1 to {len(channels) - 1}")
        self.alignments = nn.ModuleList(
            FeatureAlignment(c, alignment=config.alignment, similarity=config.similarity) for c in channels[-count:]
        )
        self.fusion = Fusion(config.fusion)
        self.decoder = create_decoder(
            config,
            channels=[*channels[:-count], *(self.fusion.channels(c) for c in channels[-count:])],
            strides=self.encoder.strides,
        )
        if config.freeze_encoder:
            self.encoder.requires_grad_(False)

    @property
    def label(self) -> str:
        """What tables call the network."""
        return self.config.label

    @property
    def first_aligned(self) -> int:
        """Index of the shallowest stage that is aligned."""
        return len(self.encoder.strides) - len(self.alignments)

    def train(self, mode: bool = True) -> "MetaUAS":
        """Switch to training; a frozen encoder's batch norms stay in evaluation."""
        if mode:
            self.check_original()
        super().train(mode)
        if self.config.freeze_encoder:
            self.encoder.eval()
        return self

    def check_original(self) -> None:
        """Raise ``InputError`` if this is a copy by ``fast_copy``, where the original is needed."""
        if self.folded:
            raise InputError("this is a fast copy without batch norms; use the network that it was copied from")

    def forward(
        self, query: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b2 *k 3 h2 w2"]
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the anomaly map in [0, 1] at the query's resolution."""
        return self.logits(query, prompt).sigmoid()

    def logits(
        self, query: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b2 *k 3 h2 w2"] | Features
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the map before the sigmoid.

        Args:
            query: images under test.
            prompt: normal images, one for all queries or one for each, or what ``encode_prompt`` returned for them.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        encoded = self.encode(prompt) if isinstance(prompt, Tensor) else prompt
        return self.decode(self.encode(query), encoded, like=query)

    def decode(self, query: Features, prompt: Features, *, like: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Align, fuse and decode encoded images; return logits of the size and type of the images ``like``.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        features = list(query)
        for stage, align in enumerate(self.alignments, start=self.first_aligned):
            aligned = _align_each(align, query[stage], one_for_each(prompt[stage], query[stage]))
            features[stage] = self.fusion(query[stage], aligned, self.fusion.bank(prompt[stage]))
        return cropped(self.decoder(features), like=like)

    def encode(self, images: Float[Tensor, "b *k 3 h w"]) -> Features:
        """Return the encoder's feature stages (B, *K, C, H / stride, W / stride), shallow to deep.

        Gradients only where the encoder learns. Images are brought to the network's device and type first.
        """
        if images.dim() > 4:
            stages = self.encode(images.flatten(0, 1))
            return tuple(stage.unflatten(0, images.shape[:2]) for stage in stages)
        whole = padded(images.to(self.normalise.mean), divisor=self.encoder.strides[-1])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_encoder):
            return tuple(self.encoder(self.normalise(whole)))

    @torch.no_grad()
    def encode_prompt(self, prompt: Float[Tensor, "b *k 3 h w"]) -> Features:
        """Encode a prompt, or K of them, once, to be used for many queries."""
        return self.encode(prompt)

    @torch.no_grad()
    def segment(self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | Features) -> Float[Tensor, "b 1 h w"]:
        """Return the maps of ``queries`` for a prompt image or an encoded one, without gradients."""
        encoded = self.encode_prompt(prompt) if isinstance(prompt, Tensor) else prompt
        on_cpu = self.normalise.mean.device.type == "cpu"
        many = max(1, _PIXELS_AT_ONCE // math.prod(queries.shape[-2:])) if on_cpu else len(queries)
        if len(queries) <= many:
            return self.logits(queries, encoded).sigmoid()
        each = tuple(one_for_each(stage, queries) for stage in encoded)  # views: nothing is copied
        chunks = zip(queries.split(many), *(stage.split(many) for stage in each), strict=True)
        return torch.cat([self.logits(query, tuple(part)).sigmoid() for query, *part in chunks])

    @torch.no_grad()
    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return unit vectors of the last stage, by whose cosine the nearest prompt is chosen (paper, section 3.4)."""
        return F.normalize(self.encode(images)[-1].flatten(1), dim=1)


def _align_each(align: nn.Module, query: Tensor, prompt: Tensor) -> Float[Tensor, "b c h w"]:
    """Return the prompt's features aligned to the query's; of K prompts (B, K, C, H, W) the mean."""
    if prompt.dim() == 4:
        return align(query, prompt)
    each = query[:, None].expand(-1, prompt.shape[1], -1, -1, -1)
    aligned = align(each.flatten(0, 1), prompt.flatten(0, 1))
    return aligned.unflatten(0, prompt.shape[:2]).mean(dim=1)


def one_for_each(prompt: Tensor, query: Tensor) -> Tensor:
    """Return one prompt for each query, without copying."""
    prompts, queries = prompt.shape[0], query.shape[0]  # len would fix the batch of an exported graph
    if prompts == queries:
        return prompt
    if prompts == 1:
        return prompt.expand(queries, *prompt.shape[1:])
    raise InputError(f"{prompts} prompts for {queries} queries; give one prompt, or one for each query")


def padded(images: Float[Tensor, "b 3 h w"], *, divisor: int) -> Float[Tensor, "b 3 h2 w2"]:
    """Repeat the lower and right border until ``divisor`` divides both sides."""
    bottom, right = (-side % divisor for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images


def cropped(logits: Float[Tensor, "b 1 h2 w2"], *, like: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Take off what ``encode`` added, and return the query's type."""
    height, width = like.shape[-2:]
    return logits[..., :height, :width].to(like.dtype)

"""The MetaUAS network: query and one normal prompt in, the probability of change per query pixel out."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from metauas.errors import InputError
from metauas.model.alignment import FeatureAlignment, Fusion
from metauas.model.config import ModelConfig
from metauas.model.decoder import create_decoder
from metauas.model.encoder import Normalise, create_encoder
from metauas.model.hub import HubMixin
from metauas.model.registration import lay
from metauas.model.views import WHOLE, View, average, by_view, divisible, split, views_of, with_each

_PIXELS_AT_ONCE = 2 * 256**2  # of queries on a CPU: more would leave its caches and take longer in all

#: Features of a prompt, one per stage, shallow to deep; of each view in turn, but for those ``near``, for which the
#: prompt itself comes last: it is to be registered to each query.
EncodedPrompt = tuple[Tensor, ...]


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
        >>> model = create_model("nano").eval()
        >>> anomaly_map = model(torch.rand(2, 3, 96, 96), torch.rand(1, 3, 96, 96))  # (2, 1, 96, 96) in [0, 1]
    """

    folded = False  # True for fast_copy's copies, which can only segment

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise()
        self.encoder = create_encoder(config.encoder, weights=config.encoder_weights)
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
    def first_aligned(self) -> int:
        """Index of the shallowest stage that is aligned; so many before it are not."""
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
        """Refuse a fast copy where the original is needed.

        Raises:
            InputError: this is a copy by ``fast_copy``.
        """
        if self.folded:
            raise InputError("this is a fast copy without batch norms; use the network that it was copied from")

    def forward(
        self, query: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b2 *k 3 h2 w2"]
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the anomaly map in [0, 1] at the query's resolution."""
        return self.logits(query, prompt).sigmoid()

    def logits(
        self, query: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b2 *k 3 h2 w2"], *, learn_near: bool = False
    ) -> Float[Tensor, "b 1 h w"]:
        """Return the map before the sigmoid, the mean over the configuration's views.

        Args:
            query: images under test.
            prompt: normal images.
            learn_near: in training, where one view is learnt from, look at the registered prompt as well.

        Raises:
            InputError: the prompts are neither one nor as many as the queries.
        """
        encoded = self._encode_all(prompt, learn_near=learn_near)
        return self._logits(query, encoded, learn_near=learn_near)

    def encode(self, images: Float[Tensor, "b *k 3 h w"], *, view: View = WHOLE) -> EncodedPrompt:
        """Return the encoder's feature stages (B, *K, C, H / stride, W / stride), shallow to deep.

        Gradients only where the encoder learns. Images are brought to the network's device and type first.
        """
        if images.dim() > 4:
            stages = self.encode(images.flatten(0, 1), view=view)
            return tuple(stage.unflatten(0, images.shape[:2]) for stage in stages)
        moved = divisible(view.of(images.to(self.normalise.mean)), self.encoder.strides[-1])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_encoder):
            return tuple(self.encoder(self.normalise(moved)))

    def encode_prompt(self, prompt: Float[Tensor, "b *k 3 h w"]) -> EncodedPrompt:
        """Encode a prompt, or K of them, once, to be used for many queries."""
        with torch.no_grad():
            return self._encode_all(prompt)

    @torch.no_grad()
    def segment(self, queries: Float[Tensor, "b 3 h w"], prompt: Tensor | EncodedPrompt) -> Float[Tensor, "b 1 h w"]:
        """Return the maps of ``queries`` for a prompt image or an encoded one, without gradients."""
        encoded = self.encode_prompt(prompt) if isinstance(prompt, Tensor) else prompt
        many = _at_once(queries) if self.normalise.mean.device.type == "cpu" else len(queries)
        if len(queries) <= many:
            return self._logits(queries, encoded).sigmoid()
        each = tuple(_as_many(stage, queries) for stage in encoded)  # views: nothing is copied
        chunks = zip(queries.split(many), *(stage.split(many) for stage in each), strict=True)
        return torch.cat([self._logits(query, tuple(part)).sigmoid() for query, *part in chunks])

    @torch.no_grad()
    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return unit vectors of the last stage, by whose cosine the nearest prompt is chosen (paper, section 3.4)."""
        return F.normalize(self.encode(images)[-1].flatten(1), dim=1)

    def near_logits(
        self, query: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "b *k 3 h2 w2"], *, views: Sequence[View]
    ) -> tuple[list[Float[Tensor, "b 1 h w"]], Float[Tensor, "b 1 h w"]]:
        """Return the logits of views ``near``, and what they are worth at each place of each query, from 0 to 1."""
        moved = query.to(self.normalise.mean.device)
        laid, worth = lay(prompt.to(moved), moved)
        return [self._decode(query, self.encode(laid, view=view), view=view) for view in views], worth

    def _encode_all(self, prompt: Tensor, *, learn_near: bool = False) -> EncodedPrompt:
        free, near = split(self._views(prompt, learn_near=learn_near))
        stages = (stage for view in free for stage in self.encode(prompt, view=view))
        return (*stages, prompt) if near else tuple(stages)

    def _logits(self, query: Tensor, prompt: EncodedPrompt, *, learn_near: bool = False) -> Tensor:
        free, near = split(self._views(query, learn_near=learn_near))
        # the smaller of the two has fewer views, and they are the first ones
        both = zip(free, by_view(prompt[:-1] if near else prompt, len(self.encoder.strides)), strict=False)
        logits = [self._decode(query, seen, view=view) for view, seen in both]
        if not near:
            return average(logits)
        within, worth = self.near_logits(query, _as_many(prompt[-1], query), views=near)
        return average(logits, near=within, worth=worth)

    def _views(self, images: Tensor, *, learn_near: bool) -> list[View]:
        return views_of(images, self.config, learning=self.training, learn_near=learn_near)

    def _decode(self, query: Tensor, prompt: EncodedPrompt, *, view: View) -> Tensor:
        features = list(self.encode(query, view=view))
        for stage, align in enumerate(self.alignments, start=self.first_aligned):
            shown = _as_many(prompt[stage], features[stage])
            features[stage] = self.fusion(
                features[stage], _aligned(align, features[stage], shown, near=view.near), shown
            )
        return view.back(self.decoder(features), like=query).to(query.dtype)


def _at_once(queries: Tensor) -> int:
    return max(1, _PIXELS_AT_ONCE // (queries.shape[-2] * queries.shape[-1]))


def _aligned(align: nn.Module, query: Tensor, prompt: Tensor, *, near: bool) -> Tensor:
    if prompt.dim() == 4:
        return align(query, prompt, near=near)
    aligned = align(*with_each(query, prompt), near=near)
    return aligned.unflatten(0, prompt.shape[:2]).mean(dim=1)


def _as_many(prompt: Tensor, query: Tensor) -> Tensor:
    prompts, queries = prompt.shape[0], query.shape[0]  # len would fix the batch of an exported graph
    if prompts == queries:
        return prompt
    if prompts == 1:
        return prompt.expand(queries, *prompt.shape[1:])
    raise InputError(f"{prompts} prompts for {queries} queries; give one prompt, or one for each query")

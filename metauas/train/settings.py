"""What a training run is made of."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from metauas.model.config import ModelConfig, model_config
from metauas.settings import Settings

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

#: Choices of the network that a training run may change in its preset; None keeps the preset's own.
NETWORK_CHOICES = (
    "encoder",
    "encoder_weights",
    "freeze_encoder",
    "alignment",
    "similarity",
    "fusion",
    "aligned_stages",
    "decoder",
    "decoder_attention",
    "decoder_merge",
    "reductions",
    "views",
)


class TrainSettings(Settings):
    """All settings of a training run.

    Attributes:
        preset: ``nano``, ``micro`` or ``b4``.
        encoder: ``nano``, ``micro`` or the name of a timm model; None keeps the preset's.
        encoder_weights: ``imagenet``, ``random`` or a file; None keeps the preset's.
        freeze_encoder: whether the encoder stays as it is; None keeps the preset's choice.
        alignment: ``none``, ``hard``, ``soft``; None keeps the preset's.
        similarity: ``dot``, ``cosine``; None keeps the preset's.
        fusion: ``concat``, ``add``, ``absdiff``, ``contrast``, ``contrast-place``; None keeps the preset's.
        aligned_stages: deepest stages that are aligned; None keeps the preset's.
        decoder: ``unet``, ``fpn``; None keeps the preset's.
        decoder_attention: ``none``, ``scse`` (of the U-Net); None keeps the preset's.
        decoder_merge: ``sum``, ``concat`` (of the FPN); None keeps the preset's.
        reductions: by which images are reduced for the logits that are averaged; None keeps the preset's, or that of
            ``init_from``.
        views: ``one``, ``mirrored``, ``mirrored-centred``, ``registered``: what the network looks at in use; None keeps
            the preset's, or that of ``init_from``.
        init_from: a checkpoint (as ``load_checkpoint`` takes it) whose weights and choices of the network the run
            starts from; a ``nano`` grows into a ``micro`` if that is the preset. None starts anew.
        start_share: share of ``init_from``'s weights in what is validated and kept, the rest being what the run has
            made of them (WiSE-FT, Wortsman et al., CVPR 2022): what was known before is kept beside what is new.
        photographs: a folder of images to make pairs from; None uses those inside scikit-image.
        recipe: how pairs are made on the fly: a preset of ``metauas.synthesis.PRESETS``, or a YAML file as
            ``metauas synthesize`` takes it; None is the mixture that needs no data.
        pairs: a folder of pairs that ``metauas synthesize`` has written, to be read instead of making them on the fly.
        size: side of query, prompt and mask, pixels.
        steps: optimiser steps.
        batch_size: pairs per optimiser step, over all processes and parts.
        accumulate: parts in which each process takes its share of a step, one after the other, where memory is short.
            Batch norms that learn see one part at a time.
        optimizer: ``adamw`` (the paper's), or ``muon``, which learnt more from as many pairs from scratch.
        learning_rate: the peak of the schedule; of either optimiser, as Muon's steps are scaled to AdamW's.
        weight_decay: decoupled, as AdamW's is.
        image_weight: of a second cross-entropy beside that of the pixels: whether the largest logits of a pair tell
            that there is a change at all. 0 is the paper's loss.
        near_share: share of the steps that also learn from prompts registered to their queries, as a network with
            views ``registered`` looks at them in use; such a step takes about twice as long.
        schedule: ``one-cycle`` (warm-up over 15 % of the steps, then cosine to 0) or ``constant`` (the paper's).
        ema_decay: decay of the moving average of the weights, which then is what is validated and kept; it grows to
            this value over the first steps. None: no average.
        rotation: degrees, to either side, by which query and prompt are turned; None keeps the recipe's.
        shift: share of the side, to either side, by which they are shifted; None keeps the recipe's.
        kinds: the kinds of change to train on, in the recipe's proportions; None takes all.
        distinct_pairs: how many different pairs there are, over and over in the same order; None makes every pair new.
        validation_pairs: held-out pairs, made from photographs that training never shows.
        validate_every: steps between validations.
        keep: which network ``checkpoint/`` holds: of the ``last`` validation, or of the ``best`` by P-AP.
        patience: validations without a better P-AP after which the run ends early; None: never.
        save_every: steps between states from which a run that was broken off continues; None: at each validation.
        workers: loader processes; the pairs do not depend on them.
        seed: of pairs, weights and order.
        mixed_precision: ``no``, ``bf16`` or ``fp16``.
        torch_compile: compile the network first; pays on a GPU, for long runs.
        tracker: where curves go besides ``history.csv``: ``tensorboard``, ``wandb`` or another one of Accelerate's.
    """

    preset: Literal["nano", "micro", "b4"] = "nano"
    encoder: str | None = None
    encoder_weights: str | None = None
    freeze_encoder: bool | None = None
    alignment: Literal["none", "hard", "soft"] | None = None
    similarity: Literal["dot", "cosine"] | None = None
    fusion: Literal["concat", "add", "absdiff", "contrast", "contrast-place"] | None = None
    aligned_stages: int | None = None
    decoder: Literal["unet", "fpn"] | None = None
    decoder_attention: Literal["none", "scse"] | None = None
    decoder_merge: Literal["sum", "concat"] | None = None
    reductions: tuple[int, ...] | None = None
    views: Literal["one", "mirrored", "mirrored-centred", "registered"] | None = None
    init_from: str | None = None
    start_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    photographs: str | None = None
    recipe: str | None = None
    pairs: str | None = None
    size: Annotated[int, Field(ge=32, le=4096)] = 64
    steps: Positive = 120
    batch_size: Positive = 12
    accumulate: Positive = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 5.0e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0e-2
    image_weight: Annotated[float, Field(ge=0)] = 0.0
    near_share: Share = 0.0
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    rotation: Annotated[float, Field(ge=0, le=180)] | None = None
    shift: Share | None = None
    kinds: tuple[str, ...] | None = None
    distinct_pairs: Positive | None = None
    validation_pairs: Positive = 60
    validate_every: Positive = 40
    keep: Literal["last", "best"] = "last"
    patience: Positive | None = None
    save_every: Positive | None = None
    workers: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0)] = 0
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    torch_compile: bool = False
    tracker: str | None = None

    # info is a ValidationInfo, a protocol that shape checks at run time cannot follow
    @field_validator("start_share")
    @classmethod
    def _has_a_start(cls, share: float, info: Any) -> float:
        if share and info.data.get("init_from") is None:
            raise PydanticCustomError("start_share", "is a share of the weights of init_from; give that as well")
        return share

    def network(self) -> ModelConfig:
        """Return the preset with this run's choices."""
        return model_config(self.preset, **self.network_choices())

    def network_choices(self) -> dict[str, Any]:
        """Return the choices of the network that are not left to the preset."""
        changes = {name: getattr(self, name) for name in NETWORK_CHOICES}
        return {name: value for name, value in changes.items() if value is not None}

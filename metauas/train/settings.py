"""What a training run is made of."""

from typing import Annotated, Any, Literal

from pydantic import Field

from metauas.model.config import ModelConfig, model_config
from metauas.settings import Settings

Positive = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=32, le=4096)]
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
)


class TrainSettings(Settings):
    """All settings of a training run.

    Attributes:
        preset: ``lite`` or ``b4``.
        encoder: the name of a timm model; None keeps the preset's.
        encoder_weights: ``imagenet``, ``random`` or a file; None keeps the preset's.
        freeze_encoder: whether the encoder stays as it is; None keeps the preset's choice.
        alignment: ``none``, ``hard``, ``soft``; None keeps the preset's.
        similarity: ``dot``, ``cosine``; None keeps the preset's.
        fusion: ``concat``, ``add``, ``absdiff``, ``contrast``; None keeps the preset's.
        aligned_stages: deepest stages that are aligned; None keeps the preset's.
        decoder: ``unet``, ``fpn``; None keeps the preset's.
        decoder_attention: ``none``, ``scse`` (of the U-Net); None keeps the preset's.
        decoder_merge: ``sum``, ``concat`` (of the FPN); None keeps the preset's.
        init_from: a checkpoint (as ``load_checkpoint`` takes it) whose weights and choices of the network the run
            starts from. None starts with a random decoder.
        photographs: a folder of images to make pairs from; None uses those inside scikit-image.
        recipe: how pairs are made on the fly, as ``metauas.synthesis.read_recipe`` takes it: a preset's name, a YAML
            file, or a mapping such as ``{preset: goods, variation: {rotation: 10}}``; None is the preset ``offline``.
        pairs: a folder of pairs to read instead of making them on the fly: one that ``metauas synthesize`` has
            written, or ``coco-inpainted`` of CYWS, which gets the pose and light of the default ``Variation``.
        size: side of query, prompt and mask, pixels.
        sizes: sides of the training pairs, of which each step takes the next one in turn; None takes ``size`` alone,
            which held-out pairs always have.
        steps: optimiser steps.
        batch_size: pairs per optimiser step, over all processes and parts.
        accumulate: parts in which each process takes its share of a step, one after the other, where memory is short.
            Batch norms that learn see one part at a time.
        learning_rate: of AdamW, at the peak of the schedule.
        weight_decay: decoupled, as AdamW's is.
        image_weight: of a second cross-entropy beside that of the pixels: whether the largest logits of a pair tell
            that there is a change at all. 0 is the paper's loss.
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

    preset: Literal["lite", "b4"] = "lite"
    encoder: str | None = None
    encoder_weights: str | None = None
    freeze_encoder: bool | None = None
    alignment: Literal["none", "hard", "soft"] | None = None
    similarity: Literal["dot", "cosine"] | None = None
    fusion: Literal["concat", "add", "absdiff", "contrast"] | None = None
    aligned_stages: int | None = None
    decoder: Literal["unet", "fpn"] | None = None
    decoder_attention: Literal["none", "scse"] | None = None
    decoder_merge: Literal["sum", "concat"] | None = None
    init_from: str | None = None
    photographs: str | None = None
    recipe: str | dict[str, Any] | None = None
    pairs: str | None = None
    size: Side = 96
    sizes: Annotated[tuple[Side, ...], Field(min_length=1)] | None = None
    steps: Positive = 80
    batch_size: Positive = 12
    accumulate: Positive = 1
    learning_rate: Annotated[float, Field(gt=0)] = 2.0e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0e-2
    image_weight: Annotated[float, Field(ge=0)] = 0.0
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

    def network(self) -> ModelConfig:
        """Return the preset with this run's choices."""
        return model_config(self.preset, **self.network_choices())

    def network_choices(self) -> dict[str, Any]:
        """Return the choices of the network that are not left to the preset."""
        changes = {name: getattr(self, name) for name in NETWORK_CHOICES}
        return {name: value for name, value in changes.items() if value is not None}

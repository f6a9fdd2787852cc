"""The settings of a training run."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from metauas.model.config import ModelConfig, network_config
from metauas.settings import Settings

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=32, le=4096)]


class Validation(Settings):
    """How a run validates, and which network it keeps.

    Attributes:
        pairs: number of held-out pairs.
        every: steps between validations.
        keep: which network ``checkpoint/`` holds: of the ``last`` validation, or of the ``best`` by P-AP.
        patience: validations without a better P-AP after which the run ends early. None: never.
    """

    pairs: Positive = 60
    every: Positive = 40
    keep: Literal["last", "best"] = "last"
    patience: Positive | None = None


class Execution(Settings):
    """How a run is computed and observed.

    Attributes:
        workers: loader processes; the pairs do not depend on them. The step leaves a core to each, if the user has
            not set ``OMP_NUM_THREADS``.
        accumulate: parts into which each process splits its share of a step, to save memory. Batch norms that are
            trained see one part at a time.
        mixed_precision: ``no``, ``bf16`` or ``fp16``.
        torch_compile: compile the network first; saves time in long runs on a GPU.
        save_every: steps between saved states, from which an interrupted run continues. None: at each validation.
        tracker: where curves go in addition to ``history.csv``: ``tensorboard``, ``wandb`` or another of Accelerate's.
    """

    workers: Natural = 0
    accumulate: Positive = 1
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    torch_compile: bool = False
    save_every: Positive | None = None
    tracker: str | None = None


class TrainSettings(Settings):
    """All settings of a training run.

    Attributes:
        network: choices of ``ModelConfig``, such as ``{"preset": "lite", "alignment": "hard"}``, or a preset's name.
            The preset is ``lite`` if it is not given.
        init_from: a checkpoint, as ``load_checkpoint`` takes it, whose weights and network the run starts from. None
            starts with a random decoder.
        recipe: how pairs are made, as ``metauas.synthesis.read_recipe`` takes it: a preset's name, a YAML file, or a
            mapping such as ``{"preset": "goods", "variation": {"rotation": 10}}``. None is the preset ``offline``.
        pairs: a folder written by ``metauas synthesize``, or ``coco-inpainted`` of CYWS, in place of a recipe.
        distinct_pairs: number of different pairs, repeated in the same order. None: every pair is new.
        size: side of query, prompt and mask, pixels.
        sizes: sides of the training pairs; each step takes the next one. None takes ``size``, which held-out pairs
            always have.
        steps: optimiser steps.
        batch_size: pairs per optimiser step, over all processes and parts.
        learning_rate: AdamW's, at the peak of the schedule.
        weight_decay: AdamW's, decoupled.
        schedule: ``one-cycle`` (warm-up over 15 % of the steps, then cosine to 0) or ``constant`` (the paper's).
        ema_decay: decay of the moving average of the weights, which is then validated and kept. It grows to this value
            over the first steps. None: no average.
        image_weight: weight of a second cross-entropy, of images: whether the largest logits of a pair show that there
            is a change. 0 is the paper's loss.
        seed: of pairs, weights and order.
        validation: see ``Validation``.
        execution: see ``Execution``.
    """

    network: dict[str, Any] = Field(default={"preset": "lite"})
    init_from: str | None = None
    recipe: str | dict[str, Any] | None = None
    pairs: str | None = None
    distinct_pairs: Positive | None = None
    size: Side = 96
    sizes: Annotated[tuple[Side, ...], Field(min_length=1)] | None = None
    steps: Positive = 80
    batch_size: Positive = 12
    learning_rate: Annotated[float, Field(gt=0)] = 2.0e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0e-2
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    image_weight: Annotated[float, Field(ge=0)] = 0.0
    seed: Natural = 0
    validation: Validation = Validation()
    execution: Execution = Execution()

    @field_validator("network", mode="before")
    @classmethod
    def _named(cls, network: Any) -> Any:
        choices = {"preset": network} if isinstance(network, str) else network
        if not isinstance(choices, Mapping):
            return choices  # pydantic says what is wrong
        return {"preset": network_config(choices).preset, **choices}  # equal networks have equal settings

    @property
    def network_config(self) -> ModelConfig:
        """The configuration of the network: its preset with the choices of this run."""
        return network_config(self.network)

"""A network in training: its start, one optimiser step, and the average of its weights."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from metauas.errors import InputError
from metauas.model import MetaUAS, load_checkpoint
from metauas.seeding import rng_for, seed_everything
from metauas.synthesis import PairBatch
from metauas.train.loss import ChangeLoss
from metauas.train.norms import synchronise_norms
from metauas.train.schedule import learning_rate
from metauas.train.settings import TrainSettings

_PRIOR = 0.04  # share of changed pixels; as the initial output, it need not be learned
_LARGEST_GRADIENT = 1.0  # norm to which gradients are clipped


def new_model(settings: TrainSettings) -> MetaUAS:
    """Create the run's network, with an output that starts at the share of changed pixels, or load ``init_from``.

    Raises:
        InputError: the checkpoint cannot be loaded, or contradicts ``settings.network``.
    """
    if settings.init_from is not None:
        return _warm_start(settings)
    model = MetaUAS(settings.network_config)
    nn.init.constant_(model.decoder.head.bias, math.log(_PRIOR / (1 - _PRIOR)))  # type: ignore[arg-type]
    return model


def _warm_start(settings: TrainSettings) -> MetaUAS:
    config = settings.network_config
    model = load_checkpoint(str(settings.init_from), preset=config.preset)
    # no weight depends on freeze_encoder, so it may change
    freeze = config.freeze_encoder if "freeze_encoder" in settings.network else model.config.freeze_encoder
    for name in settings.network:
        found, wanted = getattr(model.config, name), getattr(config, name)
        if found != wanted and name != "freeze_encoder":
            raise InputError(f"init_from={settings.init_from!r} has {name}={found!r}, not {wanted!r}; leave {name} out")
    model.config = model.config.model_copy(update={"freeze_encoder": freeze})
    model.encoder.requires_grad_(not freeze)
    return model


class Learner:
    """A network, its optimiser, and the moving average of its weights if there is one."""

    def __init__(self, model: MetaUAS, settings: TrainSettings, *, accelerator: Accelerator) -> None:
        self.model, self.settings, self.accelerator = model, settings, accelerator
        if accelerator.device.type == "cuda":  # on a CPU a step takes a quarter longer with it
            self.model = self.model.to(memory_format=torch.channels_last)
        if accelerator.num_processes > 1:
            synchronise_norms(self.model, gpu=accelerator.device.type == "cuda")
        weights = [p for p in self.model.parameters() if p.requires_grad]
        loss = ChangeLoss(self.model, image_weight=settings.image_weight)
        optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.loss, self.optimizer = accelerator.prepare(loss, optimizer)
        self.average: Any = None
        if settings.ema_decay is not None:
            from timm.utils.model_ema import ModelEmaV3  # here, as timm takes seconds to import

            self.average = ModelEmaV3(self.model, decay=settings.ema_decay, use_warmup=True)
        self.model.train()

    @property
    def shown(self) -> MetaUAS:
        """The network that is validated and saved: the average if there is one."""
        return self.model if self.average is None else self.average.module

    def step(self, parts: Sequence[PairBatch], *, step: int) -> float:
        """Take one optimiser step on this process's share, and return the loss over all processes.

        Raises:
            FloatingPointError: the loss is no longer a number; names the step.
        """
        self._begin(step)
        losses = torch.stack([self._gradients(p, number=i, of=len(parts)) for i, p in enumerate(parts)])
        value = float(self.accelerator.reduce(losses.mean(), reduction="mean"))
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step + 1}; lower learning_rate")
        self.accelerator.clip_grad_norm_(self.loss.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model, step=step + 1)
        return value

    def _begin(self, step: int) -> None:
        """Make randomness in the network, such as dropout, a function of seed, step and process."""
        key = (self.settings.seed, "step", step, self.accelerator.process_index)
        seed_everything(int(rng_for(*key).integers(2**63)))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, step)
        self.optimizer.zero_grad()

    def _gradients(self, part: PairBatch, *, number: int, of: int) -> Tensor:
        """Add the gradients of one part; processes exchange them with the last one only."""
        moved = part.to(self.accelerator.device)
        with nullcontext() if number + 1 == of else self.accelerator.no_sync(self.loss):
            with self.accelerator.autocast():
                loss = self.loss(moved.query, moved.prompt, moved.mask)
            self.accelerator.backward(loss / of)
        return loss.detach()

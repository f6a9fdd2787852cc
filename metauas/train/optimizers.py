"""What moves the weights: AdamW, as in the paper, or Muon."""

from collections.abc import Iterable

import torch
from torch import nn

from metauas.train.settings import TrainSettings


def new_optimizer(weights: Iterable[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the run's optimiser; ``step`` is given its learning rate by the schedule.

    Muon (Jordan et al., 2024) makes the step of a matrix, or of a convolution seen as one, equally long in all
    directions. Its steps are scaled to be as large as AdamW's (Liu et al., "Muon is scalable for LLM training", 2025,
    section 2.2), so that learning rates and weight decays of the one serve the other; biases and norms keep AdamW,
    with Nesterov's momentum.
    """
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    from timm.optim.muon import Muon  # only now: timm takes seconds to import

    return Muon(
        weights,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        nesterov=True,
        adjust_lr_fn="match_rms_adamw",
        betas=(0.9, 0.999),  # AdamW's, for biases and norms
    )

"""The schedule of the learning rate: constant, or a warm-up and half a cosine."""

import math

from metauas.train.settings import TrainSettings

_WARM_UP = 0.15  # share of the steps
_LOWEST_RATE = 0.05  # share of the peak at which the warm-up starts


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Return the learning rate at ``step``; it depends on no state, so a run can resume."""
    if settings.schedule == "constant":
        return settings.learning_rate
    warm_up = max(1, round(_WARM_UP * settings.steps))
    if step < warm_up:
        return settings.learning_rate * (_LOWEST_RATE + (1 - _LOWEST_RATE) * (step + 1) / warm_up)
    done = (step - warm_up) / max(1, settings.steps - warm_up)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

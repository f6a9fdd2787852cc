"""Variants of a network, each with a row of its own in the tables."""

from metauas.eval.settings import EvalSettings
from metauas.model import MetaUAS, MetaUASPlus, ScaleAverage, TiledNetwork, with_plus


def variants_of(model: MetaUAS, settings: EvalSettings) -> list[ScaleAverage | MetaUASPlus | TiledNetwork]:
    """Return the variants that an evaluation asks for: the mean over several sizes, MetaUAS★+, both, and tiles.

    Raises:
        InputError: the network's encoder has no stage that ★+ compares.
        WeightsUnavailableError: CLIP's weights cannot be had; says what to do without a network.
    """
    plus = [with_plus(model, settings.plus)] if settings.plus != "none" else []
    networks: list[MetaUAS | MetaUASPlus] = [model, *plus]
    averaged = [ScaleAverage(network) for network in networks] if settings.average_scales else []
    tiled = [TiledNetwork(model, side=settings.tiles)] if settings.tiles else []
    return [*averaged, *plus, *tiled]

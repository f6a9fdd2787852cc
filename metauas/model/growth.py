"""A larger network that starts from what a smaller one has learnt (after Net2Net, Chen et al., ICLR 2016)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from metauas.errors import InputError
from metauas.model.config import ModelConfig
from metauas.model.encoder import OWN_ENCODERS
from metauas.model.network import MetaUAS

_IMAGE = 3  # channels of the image, which come last in every stage of the nano encoder
_FAINT = 0.05  # of what is new and cannot be led nowhere: enough to learn, too little to change a map much

#: Where the channels of the smaller network lie among those of the larger one.
Places = Sequence[int]

# parts are Any below: nn.ModuleList and nn.Sequential say nothing of what is in them


@torch.no_grad()
def grow(model: MetaUAS, config: ModelConfig) -> MetaUAS:
    """Return a network of ``config`` that segments nearly as ``model`` does, and can learn more.

    What both have is copied. New channels are random, and no old channel hears them yet; new residual blocks and what
    alignment compares besides are faint.

    Args:
        model: the smaller network, of a nano encoder and a U-Net without attention.
        config: of the larger one: the same choices, with as many channels and blocks or more.

    Raises:
        InputError: the two differ in more than their size, or the larger one is smaller somewhere; names where.
    """
    _check_kinds(model.config, config)
    larger = MetaUAS(config)
    _check_sizes(model, larger)
    stages = _grow_encoder(larger.encoder, model.encoder)
    count = len(model.alignments)
    for new, old, places in zip(larger.alignments, model.alignments, stages[-count:], strict=True):
        _grow_alignment(new, old, places)
    _grow_decoder(larger.decoder, model.decoder, _fused(larger, stages))
    return larger


def _fused(larger: MetaUAS, stages: Sequence[Places]) -> Sequence[tuple[int, Places]]:
    """Return how many channels the decoder is handed of each stage, and which of them the smaller network knows."""
    handed = []
    for stage, (channels, places) in enumerate(zip(larger.encoder.channels, stages, strict=True)):
        # such as the query's, then what differs
        groups = larger.fusion.channels(1) if stage >= larger.first_aligned else 1
        handed.append((groups * channels, [g * channels + place for g in range(groups) for place in places]))
    return handed


def _check_kinds(before: ModelConfig, after: ModelConfig) -> None:
    for config in (before, after):
        if config.encoder not in OWN_ENCODERS or config.decoder != "unet" or config.decoder_attention != "none":
            names = " and ".join(OWN_ENCODERS)
            raise InputError(
                f"encoder {config.encoder!r}, decoder {config.decoder!r}: only {names} grow, with a plain U-Net"
            )
    for name in ("alignment", "similarity", "fusion", "aligned_stages"):
        found, wanted = getattr(before, name), getattr(after, name)
        if found != wanted:
            raise InputError(f"a network grows in size only: it has {name}={found!r}, not {wanted!r}")


def _check_sizes(model: MetaUAS, larger: MetaUAS) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in larger.state_dict().items()}
    for name, weight in model.state_dict().items():
        there = shapes.get(name)
        if there is None or any(after < before for before, after in zip(weight.shape, there, strict=True)):
            raise InputError(f"{name} would shrink from {tuple(weight.shape)} to {there or 0}; give a larger network")


def _grow_encoder(new: Any, old: Any) -> Sequence[Places]:
    """Return the places of each stage's channels."""
    stages, inputs = [], [*range(_IMAGE)]
    for larger, smaller, width, before in zip(new.stages, old.stages, new.channels, old.channels, strict=True):
        features = [*range(before - _IMAGE)]
        blocks = [*zip(larger, smaller, strict=False)]
        _grow_convolution(*blocks[0], outputs=features, inputs=inputs)
        for block, known in blocks[1:]:
            _grow_convolution(block.body, known.body, outputs=features, inputs=features)
        for block in list(larger)[len(blocks) :]:
            _make_faint(block)
        inputs = [*features, *range(width - _IMAGE, width)]
        stages.append(inputs)
    return stages


def _grow_alignment(new: Any, old: Any, places: Places) -> None:
    if old.alignment == "none":
        return
    kept = [*range(old.reduce.out_channels)]
    for weight in new.reduce.parameters():
        weight.mul_(_FAINT)  # what else is compared counts little at first
    _copy_convolution(new.reduce, old.reduce, outputs=kept, inputs=places)
    if hasattr(old, "log_sharpness"):
        new.log_sharpness.copy_(old.log_sharpness)


def _grow_decoder(new: Any, old: Any, handed: Sequence[tuple[int, Places]]) -> None:
    (width, inputs), *skips = reversed(handed)
    for larger, smaller, (_, places) in zip(new.blocks, old.blocks, [*skips, (0, [])], strict=False):
        outputs = [*range(smaller.conv2[0].out_channels)]
        joined = [*inputs, *(width + place for place in places)]
        _grow_convolution(larger.conv1, smaller.conv1, outputs=outputs, inputs=joined)
        _grow_convolution(larger.conv2, smaller.conv2, outputs=outputs, inputs=outputs)
        width, inputs = larger.conv2[0].out_channels, outputs
    _copy_convolution(new.head, old.head, outputs=[0], inputs=inputs)


def _make_faint(block: Any) -> None:
    """Let a block that no smaller network knows add little: at 0 its ReLU would never learn."""
    block.body[1].weight.fill_(_FAINT)


def _grow_convolution(new: Any, old: Any, *, outputs: Places, inputs: Places) -> None:
    """Convolution and batch norm, as ``conv_norm_act`` makes them."""
    _copy_convolution(new[0], old[0], outputs=outputs, inputs=inputs)
    for name, value in old[1].state_dict().items():
        target = new[1].state_dict()[name]
        target[outputs if target.dim() else ...] = value


def _copy_convolution(new: nn.Conv2d, old: nn.Conv2d, *, outputs: Places, inputs: Places) -> None:
    rows, columns = torch.tensor(outputs), torch.tensor(inputs)
    new.weight[rows] = 0.0  # they hear nothing new yet
    new.weight[rows[:, None], columns] = old.weight
    if old.bias is not None and new.bias is not None:
        new.bias[rows] = old.bias

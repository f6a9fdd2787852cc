"""Hashes of what determines a result: images, a network, and a run of ``segment_files`` without its queries."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from metauas.files.images import read_image
from metauas.model import MetaUAS, MetaUASPlus, ScaleAverage, TiledNetwork

#: Settings of ``ModelConfig`` about the origin of weights, which do not change the map.
_IRRELEVANT = {"preset", "encoder_weights", "freeze_encoder"}

Network = MetaUAS | ScaleAverage | TiledNetwork


def run_digest(model: Network, *, prompts: Sequence[str | Path], size: int, threshold: float | None) -> str:
    """Return the SHA-256 of network, device, prompts in their order, size, threshold and versions.

    Raises:
        InputError: a prompt cannot be read.
    """
    parts = {
        "network": network_digest(model),
        "device": next(model.parameters()).device.type,
        "prompts": [image_digest(prompt) for prompt in prompts],
        "size": size,
        "threshold": threshold,
        "versions": [version(package) for package in ("metauas", "torch", "opencv-python-headless")],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def prompts_digest(prompts: Sequence[str | Path]) -> str:
    """Return the SHA-256 of all prompts' pixels, in any order; for one prompt that of ``image_digest``.

    Raises:
        InputError: a file cannot be read.
    """
    digests = sorted(image_digest(prompt) for prompt in prompts)
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def image_digest(path: str | Path) -> str:
    """Return the SHA-256 of an image's size and pixels.

    Raises:
        InputError: the file cannot be read.
    """
    image = read_image(path)
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()


def network_digest(network: Network) -> str:
    """Return the SHA-256 of everything that determines a map: configuration, weights, similarity, scales and tiles."""
    wrappers, model = _unwrapped(network)
    config = model.config.model_dump(mode="json", exclude=_IRRELEVANT, exclude_defaults=True)
    digest = hashlib.sha256(json.dumps(config | wrappers, sort_keys=True).encode())
    inputs = {"normalise.mean": model.normalise.mean, "normalise.std": model.normalise.std}
    for name, tensor in sorted((model.state_dict() | inputs).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # as bytes, since NumPy has no bfloat16
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _unwrapped(network: Network) -> tuple[dict[str, Any], MetaUAS]:
    """Return the settings of the wrappers, and the network within."""
    settings: dict[str, Any] = {"scales": (1.0,)}
    model: Any = network
    if isinstance(model, TiledNetwork):
        settings, model = settings | {"tiles": model.side}, model.model
    if isinstance(model, ScaleAverage):
        settings, model = settings | {"scales": model.scales}, model.model
    if isinstance(model, MetaUASPlus):
        settings, model = settings | {"similarity": model.label, "weight": model.weight}, model.model
    return settings, model

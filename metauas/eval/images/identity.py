"""The identity of a run of ``segment_files``: a hash of everything but the query that determines a result."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from metauas.eval.images.calibration import Network, image_digest, network_digest


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

"""The author's checkpoints, ``metauas-256.ckpt`` and ``metauas-512.ckpt``, as networks of preset ``b4``."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from metauas.model.config import network_config
from metauas.model.network import MetaUAS
from metauas.model.weights.original_names import original_name
from metauas.model.weights.tensor_files import check_fit
from metauas.model.weights.torch_files import read_state_dict

_RIGHT = "give the author's metauas-256.ckpt or metauas-512.ckpt (see github.com/gaobb/MetaUAS), complete"

_DEPTHS = (2, 4, 4, 6, 6, 8, 2)  # blocks in each stage of EfficientNet-b4
_DECODER = {
    "attention_in.channel": "attention1.attention.cSE",
    "attention_in.position": "attention1.attention.sSE",
    "attention_out.channel": "attention2.attention.cSE",
    "attention_out.position": "attention2.attention.sSE",
}


def load_official(path: str | Path) -> MetaUAS:
    """Load an official checkpoint, in evaluation mode, on the CPU; nothing in the file is executed.

    The file may hold the state dict itself or a training checkpoint of Lightning around it, and its names may have
    one prefix, such as ``model.``. The configuration is preset ``b4``'s; all weights are read from the file.

    Args:
        path: ``metauas-256.ckpt`` or ``metauas-512.ckpt`` (the sizes they were trained at; both are one network).

    Raises:
        InputError: the file is missing, damaged or something else, or its tensors are not the official network's;
            lists what is missing, unexpected or of another shape, in the file's own names.

    Example:
        >>> model = load_official("metauas-256.ckpt")
        >>> anomaly_map = model.segment(queries, prompt)  # (B, 1, H, W) in [0, 1]
    """
    tensors = read_state_dict(path, hint=_RIGHT)
    config = network_config("b4")
    model = MetaUAS(config.model_copy(update={"encoder_weights": "random"}))
    ours = model.state_dict()
    prefix = _prefix(tensors, {official_name(name) for name in ours})
    theirs = {name: prefix + official_name(name) for name in ours}
    check_fit({theirs[name]: tensor for name, tensor in ours.items()}, tensors, origin=str(path), hint=_RIGHT)
    model.load_state_dict({name: tensors[theirs[name]] for name in ours})
    model.config = config
    return model.eval()


def official_name(name: str) -> str:
    """Return the name in the official network of an entry of preset ``b4``'s state dict.

    Example:
        >>> official_name("alignments.0.reduce.bias")
        'alignment.2.alignment_layer.dimensionality_reduction.bias'
    """
    part, rest = name.split(".", 1)
    if part == "encoder":
        return f"encoder.{original_name(rest.removeprefix('body.'), depths=_DEPTHS)}"
    if part == "alignments":  # ours are counted from the shallowest aligned stage, the official from the deepest
        level, _, leaf = rest.split(".")
        return f"alignment.{2 - int(level)}.alignment_layer.dimensionality_reduction.{leaf}"
    if rest.startswith("head."):
        return f"mask_{rest}"
    for own, official in _DECODER.items():
        rest = rest.replace(own, official)
    return f"decoder.{rest}"


def _prefix(names: Collection[str], known: Collection[str]) -> str:
    """Return the most common prefix of known names: "", "model." or similar."""
    found = Counter(name.removesuffix(end) for name in names for end in known if name.endswith(end))
    return found.most_common(1)[0][0] if found else ""

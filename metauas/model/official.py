"""The author's checkpoints, ``metauas-256.ckpt`` and ``metauas-512.ckpt``, as networks of preset ``b4``."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from metauas.model.checkpoint import check_fit
from metauas.model.config import model_config
from metauas.model.network import MetaUAS
from metauas.model.torch_files import read_state_dict

_RIGHT = "give the author's metauas-256.ckpt or metauas-512.ckpt (see github.com/gaobb/MetaUAS), complete"

_BLOCKS = (2, 4, 4, 6, 6, 8, 2)  # of each stage of EfficientNet-b4; the official names count them through
_STEM_AND_HEAD = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_FIRST_STAGE = _SQUEEZE | {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
_LATER_STAGES = _SQUEEZE | {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
_DECODER = {
    "attention_in.channel": "attention1.attention.cSE",
    "attention_in.position": "attention1.attention.sSE",
    "attention_out.channel": "attention2.attention.cSE",
    "attention_out.position": "attention2.attention.sSE",
}


def load_official(path: str | Path) -> MetaUAS:
    """Load an official checkpoint, in evaluation mode, on the CPU; nothing in the file is executed.

    The file may hold the state dict itself or a training checkpoint of Lightning around it, and its names may have
    one prefix, such as ``model.``. The configuration is preset ``b4``'s, whose encoder has its weights of ImageNet,
    as the author's; but they are read from the file like all others.

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
    config = model_config("b4")
    model = MetaUAS(config.model_copy(update={"encoder_weights": "random"}))
    ours = model.state_dict()
    prefix = _prefix(tensors, {official_name(name) for name in ours})
    theirs = {name: prefix + official_name(name) for name in ours}
    check_fit({theirs[name]: tensor for name, tensor in ours.items()}, tensors, origin=str(path), hint=_RIGHT)
    model.load_state_dict({name: tensors[theirs[name]] for name in ours})
    model.config = config
    return model.eval()


def official_name(name: str) -> str:
    """Return what the official network calls an entry of preset ``b4``'s state dict.

    Example:
        >>> official_name("alignments.0.reduce.bias")
        'alignment.2.alignment_layer.dimensionality_reduction.bias'
    """
    part, rest = name.split(".", 1)
    if part == "encoder":
        return f"encoder.{_encoder_name(rest.removeprefix('body.'))}"
    if part == "alignments":  # ours are counted from the shallowest aligned stage, the official from the deepest
        level, _, leaf = rest.split(".")
        return f"alignment.{2 - int(level)}.alignment_layer.dimensionality_reduction.{leaf}"
    if rest.startswith("head."):
        return f"mask_{rest}"
    for own, official in _DECODER.items():
        rest = rest.replace(own, official)
    return f"decoder.{rest}"


def _encoder_name(name: str) -> str:
    first, *rest = name.split(".")
    if first != "blocks":
        return ".".join([_STEM_AND_HEAD[first], *rest])
    stage, index, *module, leaf = rest
    names = _FIRST_STAGE if stage == "0" else _LATER_STAGES
    return f"_blocks.{sum(_BLOCKS[: int(stage)]) + int(index)}.{names['.'.join(module)]}.{leaf}"


def _prefix(names: Collection[str], known: Collection[str]) -> str:
    """Return what most names put before a known one: "" or such as "model."."""
    found = Counter(name.removesuffix(end) for name in names for end in known if name.endswith(end))
    return found.most_common(1)[0][0] if found else ""

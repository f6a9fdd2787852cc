"""A copy of the network for segmenting faster: batch norms folded into their convolutions, channels last."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from metauas.model.network import MetaUAS

_PROBE = 64  # side in pixels of the blank image for tracing


def fast_copy(model: MetaUAS) -> MetaUAS:
    """Return a copy that gives the same maps in less time, for segmenting only; ``model`` is not changed.

    Batch norms are folded into the convolutions before them, and weights are stored channels last, which is faster on
    CPU and GPU. The copy can be neither trained nor saved.

    Returns:
        The copy, in evaluation mode and without gradients; maps agree to about 1e-6.
    """
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    names = {module: name for name, module in copied.named_modules()}
    for convolution, norm in _feeding(copied).items():
        copied.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
        copied.set_submodule(names[norm], getattr(norm, "act", nn.Identity()))  # timm's norms hold their activation
    copied.folded = True
    return copied.to(memory_format=torch.channels_last)


@torch.no_grad()
def _feeding(model: MetaUAS) -> dict[nn.Conv2d, nn.BatchNorm2d]:
    """Return each convolution whose output is the input of a batch norm, traced with a blank image."""
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # keeps the tensors, so that each id stays unique
    fed: dict[nn.Conv2d, nn.BatchNorm2d] = {}

    def after_convolution(module: nn.Conv2d, _: object, output: Tensor) -> None:
        made[id(output)] = (output, module)

    def before_norm(module: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made:
            fed[made[id(inputs[0])][1]] = module

    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [convolution.register_forward_hook(after_convolution) for convolution in convolutions]
    hooks += [norm.register_forward_pre_hook(before_norm) for norm in norms]
    blank = torch.zeros(1, 3, _PROBE, _PROBE)
    model.segment(blank, blank)
    for hook in hooks:
        hook.remove()
    return fed

"""Batch norms whose statistics cover all processes that share a step."""

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from metauas.errors import InputError


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over all processes, on any device; torch's own ``SyncBatchNorm`` runs on GPUs only.

    Weights and statistics have the names of ``BatchNorm2d``, and one process gets the same numbers.
    """

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the normalised features; in evaluation mode by the running statistics."""
        if not self.training:
            return super().forward(input)
        count = input.numel() // input.shape[1] * distributed.get_world_size()
        features = input.to(torch.promote_types(input.dtype, torch.float32))  # sums need more than half precision
        mean = _total(features.sum((0, 2, 3))) / count
        centred = features - mean[:, None, None]
        variance = _total(centred.square().sum((0, 2, 3))) / count  # two passes are more precise
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(variance, self.momentum or 0.0)


class _TotalOverProcesses(torch.autograd.Function):
    """The sum over all processes; every process's loss depends on it, so gradients are summed likewise."""

    @staticmethod
    def forward(ctx: object, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def _total(tensor: Tensor) -> Tensor:
    return _TotalOverProcesses.apply(tensor)


def synchronise_norms(model: nn.Module, *, gpu: bool) -> None:
    """Synchronise the trained batch norms of a network over all processes, in place, before the optimiser is made.

    Frozen parts do not change. With ``gpu``, torch's own ``SyncBatchNorm`` is used, which is faster.

    Raises:
        InputError: without GPUs, a norm with its own activation (as in timm's encoders) would be trained.
    """
    for name, norm in list(model.named_modules()):
        if isinstance(norm, nn.BatchNorm2d) and any(weight.requires_grad for weight in norm.parameters()):
            model.set_submodule(name, _synchronised(norm, name=name, gpu=gpu))


def _synchronised(norm: nn.BatchNorm2d, *, name: str, gpu: bool) -> nn.Module:
    if gpu:
        # here, as timm takes seconds to import; it converts torch's norms and its own with activations
        from timm.layers.norm_act import convert_sync_batchnorm

        return convert_sync_batchnorm(norm)
    if type(norm) is not nn.BatchNorm2d:
        raise InputError(
            f"the batch norm {name} cannot be shared by processes without GPUs; use one process, or freeze the encoder"
        )
    synced = SyncedBatchNorm2d(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    synced.load_state_dict(norm.state_dict())
    return synced

"""Batch normalisation over the rows of all processes that train together."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.distributed import gather, world

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SharedBatchNorm(_BatchNorm):
    """Normalises by the mean and variance of the whole batch, on any device.

    In eval mode, and in a single process, it is the layer that it stands in for. (That of torch
    is for GPUs only.)

    References:
        Ioffe and Szegedy (2015), *Batch normalization: accelerating deep network training by
        reducing internal covariate shift*, algorithm 1, arXiv:1502.03167.
    """

    def forward(self, value: Tensor) -> Tensor:
        """``value [n, channel, *space]``, normalised over all axes but the second."""
        processes = world().size
        if not self.training or processes == 1:
            return super().forward(value)
        exact = value if value.dtype == torch.float64 else value.float()
        axes = [axis for axis in range(value.ndim) if axis != 1]
        part_variance, part_mean = torch.var_mean(exact, axes, correction=0)
        # Equal parts: the variance is the mean of theirs and the variance of their means.
        variances, means = gather(torch.stack([part_variance, part_mean])[None]).unbind(1)
        mean = means.mean(dim=0)
        variance = variances.mean(dim=0) + means.var(dim=0, correction=0)
        self._follow(mean, variance, processes * value.numel() // value.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        shape = [1, -1] + [1] * (value.ndim - 2)
        return torch.addcmul(shift.view(shape), exact, scale.view(shape)).to(value.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics on; their variance is the unbiased one of ``count``."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1

    def _check_input_dim(self, value: Tensor) -> None:
        """Nothing: it takes what the layer takes that it stands in for."""


@contextmanager
def shared_batch_norm(module: nn.Module) -> Iterator[None]:
    """Lets the batch normalisation of a module span all processes, and then be as before.

    The layers stay the same objects, so optimisers and names of weights hold.
    """
    found = [each for each in module.modules() if type(each) in _KINDS]
    kinds = [type(each) for each in found]
    if world().size > 1:
        for layer in found:
            layer.__class__ = SharedBatchNorm
    try:
        yield
    finally:
        for layer, kind in zip(found, kinds, strict=True):
            layer.__class__ = kind

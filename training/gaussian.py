"""Diagonal Gaussians as tensors: divergence, sampling and the posterior of a group."""

from typing import NamedTuple

import torch
from torch import Tensor

from training.distributed import gather, own, world


class Gaussian(NamedTuple):
    r"""Independent Gaussians :math:`N(\mu, \operatorname{diag} e^{v})`, one a row.

    Attributes:
        mu: :math:`\mu`, ``[n, dimension]``.
        logvar: :math:`v`, natural logarithm of the variance, ``[n, dimension]``.
    """

    mu: Tensor
    logvar: Tensor


def kl_to_standard_normal(gaussian: Gaussian) -> Tensor:
    r"""Divergence of each row from :math:`N(0, I)`.

    .. math:: \tfrac12 \sum_d \left(\mu_d^2 + e^{v_d} - v_d - 1\right)

    Args:
        gaussian: ``[n, dimension]``.

    Returns:
        ``[n]`` >= 0 up to rounding, in nats.

    References:
        Kingma and Welling (2014), *Auto-encoding variational Bayes*, appendix B,
        arXiv:1312.6114.

    Examples:
        >>> kl_to_standard_normal(Gaussian(torch.tensor([[0.0], [2.0]]), torch.zeros(2, 1)))
        tensor([0., 2.])
    """
    mu, logvar = gaussian
    return 0.5 * (mu.square() + logvar.exp() - logvar - 1).sum(dim=1)


def sample(gaussian: Gaussian, generator: torch.Generator | None = None) -> Tensor:
    r"""One draw of each row, :math:`\mu + e^{v/2} \epsilon`, that gradients pass through.

    Processes that train together draw :math:`\epsilon` of the whole batch, and each takes its
    own rows, so the draws do not depend on how many there are.

    Args:
        gaussian: ``[n, dimension]``.
        generator: Source of :math:`\epsilon`, on the device of ``gaussian``; the global one if
            not given.

    Returns:
        ``[n, dimension]``.

    References:
        Kingma and Welling (2014), *Auto-encoding variational Bayes*, section 2.4,
        arXiv:1312.6114.
    """
    mu, logvar = gaussian
    shape = (world().size * len(mu), *mu.shape[1:])
    noise = torch.randn(shape, dtype=mu.dtype, device=mu.device, generator=generator)
    return mu + (0.5 * logvar).exp() * own(noise)


def gathered(gaussian: Gaussian) -> Gaussian:
    """The rows of all processes, with a graph; see :func:`training.distributed.gather`."""
    return Gaussian(*gather(torch.stack(gaussian, dim=1)).unbind(dim=1))


def product_posterior(member: Gaussian, label: Tensor) -> tuple[Gaussian, Tensor]:
    r"""Posterior of each label's samples as the normalised product of their Gaussians.

    Precisions add and the mean is weighted by precision:
    :math:`e^{-v_g} = \sum_{i \in g} e^{-v_i}` and
    :math:`\mu_g = e^{v_g} \sum_{i \in g} e^{-v_i} \mu_i`.

    Args:
        member: Posterior of each sample, ``[batch, dimension]``.
        label: The group of each sample, ``[batch]`` int.

    Returns:
        The groups that occur, in ascending label order, ``[group, dimension]``; and the
        position of each sample's group among them, ``[batch]`` int.

    References:
        Bouchacourt, Tomioka and Nowozin (2018), *Multi-level variational autoencoder: learning
        disentangled representations from grouped observations*, arXiv:1705.08841.

    Examples:
        >>> member = Gaussian(torch.tensor([[0.0], [2.0], [5.0]]), torch.zeros(3, 1))
        >>> group, index = product_posterior(member, torch.tensor([1, 1, 0]))
        >>> group.mu.flatten(), group.logvar.exp().flatten(), index
        (tensor([5., 1.]), tensor([1.0000, 0.5000]), tensor([1, 1, 0]))
    """
    outside, index = _outside(label)
    precision = (-member.logvar).expand(len(outside), -1, -1).masked_fill(outside, -torch.inf)
    # Weights as a softmax of log precisions: sums of tiny variances do not overflow.
    mu = (precision.softmax(dim=1) * member.mu).sum(dim=1)
    return Gaussian(mu, -precision.logsumexp(dim=1)), index


def mean_posterior(member: Gaussian, label: Tensor) -> tuple[Gaussian, Tensor]:
    r"""Posterior of each label's samples as the average of their means and variances.

    :math:`\mu_g = \overline{\mu_i}` and :math:`e^{v_g} = \overline{e^{v_i}}` over
    :math:`i \in g`.

    Args:
        member: Posterior of each sample, ``[batch, dimension]``.
        label: The group of each sample, ``[batch]`` int.

    Returns:
        The groups that occur, in ascending label order, ``[group, dimension]``; and the
        position of each sample's group among them, ``[batch]`` int.

    References:
        Hosoya (2019), *Group-based learning of disentangled representations with
        generalizability for novel contents*, arXiv:1809.02383.

    Examples:
        >>> member = Gaussian(torch.tensor([[0.0], [2.0], [5.0]]), torch.zeros(3, 1))
        >>> mean_posterior(member, torch.tensor([1, 1, 0]))[0].logvar.flatten()
        tensor([0., 0.])
    """
    outside, index = _outside(label)
    size = (~outside).sum(dim=1)
    mu = member.mu.expand(len(outside), -1, -1).masked_fill(outside, 0).sum(dim=1) / size
    logvar = member.logvar.expand(len(outside), -1, -1).masked_fill(outside, -torch.inf)
    return Gaussian(mu, logvar.logsumexp(dim=1) - size.log()), index


def _outside(label: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each sample is outside each group ``[group, batch, 1]``; each sample's group."""
    names, index = torch.unique(label, return_inverse=True)
    group = torch.arange(len(names), device=label.device)
    return (group[:, None] != index)[:, :, None], index

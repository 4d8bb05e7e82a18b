"""Penalties on the dependence of two codes, and the estimators that they need."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.gaussian import Gaussian


class ConditionalGaussian(nn.Module):
    r"""Estimator :math:`q(y \mid x) = N(\mu(x), \operatorname{diag} e^{v(x)})` of two networks.

    Each is Linear, ReLU, Linear; the log variance ends in Tanh, so it is in [-1, 1].

    References:
        Cheng et al. (2020), *CLUB: a contrastive log-ratio upper bound of mutual information*,
        arXiv:2006.12013.
    """

    def __init__(self, condition: int, target: int, hidden: int) -> None:
        """Build the two networks.

        Args:
            condition: Dimension of x.
            target: Dimension of y.
            hidden: Width of the hidden layer.
        """
        super().__init__()
        self.mu = nn.Sequential(
            nn.Linear(condition, hidden), nn.ReLU(), nn.Linear(hidden, target)
        )
        self.logvar = nn.Sequential(
            nn.Linear(condition, hidden), nn.ReLU(), nn.Linear(hidden, target), nn.Tanh()
        )

    def forward(self, x: Tensor) -> Gaussian:
        """The Gaussian ``[n, target]`` at each ``x [n, condition]``."""
        return Gaussian(self.mu(x), self.logvar(x))

    def log_likelihood(self, x: Tensor, y: Tensor) -> Tensor:
        r""":math:`\log q(y_i \mid x_i)` up to a constant, ``[n]``; training maximises it."""
        mu, logvar = self(x)
        log_likelihood: Tensor = ((y - mu).square() * (-logvar).exp() + logvar).sum(dim=1)
        return -0.5 * log_likelihood

    def log_density(self, x: Tensor, y: Tensor) -> Tensor:
        r""":math:`\log q(y_j \mid x_i)` up to that constant, ``[n, n]``, i is the row."""
        mu, logvar = self(x)
        precision = (-logvar).exp()[:, None]
        squared = (y[None] - mu[:, None]).square()
        log_density: Tensor = -0.5 * (
            (squared * precision).sum(dim=2) + logvar.sum(dim=1, keepdim=True)
        )
        return log_density


def club(log_density: Tensor) -> Tensor:
    r"""Contrastive log-ratio upper bound (CLUB) from every pair of the batch.

    .. math:: \frac1n \sum_i \log q(y_i \mid x_i) - \frac1{n^2} \sum_{ij} \log q(y_j \mid x_i)

    Args:
        log_density: :math:`\log q(y_j \mid x_i)` up to a constant, ``[n, n]``, i is the row.

    Returns:
        Scalar, in nats. An estimate, so it may be negative. It bounds the mutual information
        from above as far as q is the true conditional.

    References:
        Cheng et al. (2020), *CLUB: a contrastive log-ratio upper bound of mutual information*,
        arXiv:2006.12013.

    Examples:
        >>> club(torch.tensor([[0.0, -2.0], [-2.0, 0.0]]))
        tensor(1.)
    """
    return log_density.diagonal().mean() - log_density.mean()


def club_sampled(log_density: Tensor, generator: torch.Generator | None = None) -> Tensor:
    r"""CLUB with one random negative a sample (CLUB-S), an unbiased estimate of :func:`club`.

    .. math:: \frac1n \sum_i \left[\log q(y_i \mid x_i) - \log q(y_{\pi(i)} \mid x_i)\right]

    Args:
        log_density: :math:`\log q(y_j \mid x_i)` up to a constant, ``[n, n]``, i is the row.
        generator: Source of the permutation :math:`\pi`, on the device of ``log_density``; the
            global one if not given.

    Returns:
        Scalar, in nats; it may be negative.

    References:
        Cheng et al. (2020), *CLUB: a contrastive log-ratio upper bound of mutual information*,
        algorithm 1, arXiv:2006.12013.

    Examples:
        >>> club_sampled(torch.zeros(3, 3))
        tensor(0.)
    """
    device = log_density.device
    order = torch.randperm(len(log_density), generator=generator, device=device)
    row = torch.arange(len(log_density), device=device)
    return (log_density.diagonal() - log_density[row, order]).mean()


def leave_one_out(log_density: Tensor) -> Tensor:
    r"""Leave-one-out upper bound (L1OutUB).

    .. math:: \frac1n \sum_i \left[\log q(y_i \mid x_i)
        - \log \frac1{n-1} \sum_{j \neq i} q(y_i \mid x_j)\right]

    The code released with the CLEAR paper computes something else under this name: a mask with
    one axis too many broadcasts to ``[n, n, n]``, the sum runs over copies of one number, and
    what remains is the mean of all log densities, which is :func:`club`. So the ``l1out`` rows
    of the golden file are matched by ``club`` of that estimator; this is the published bound.

    Args:
        log_density: :math:`\log q(y_j \mid x_i)` up to a constant, ``[n, n]``, i is the row.

    Returns:
        Scalar, in nats; it may be negative. 0 for fewer than two samples.

    References:
        Poole et al. (2019), *On variational bounds of mutual information*,
        arXiv:1905.06922.

    Examples:
        >>> leave_one_out(torch.tensor([[0.0, -2.0], [-2.0, 0.0]]))
        tensor(2.)
    """
    n = len(log_density)
    if n < 2:
        return log_density.sum() * 0
    itself = torch.eye(n, dtype=torch.bool, device=log_density.device)
    others = log_density.masked_fill(itself, -torch.inf).logsumexp(dim=0) - math.log(n - 1)
    return (log_density.diagonal() - others).mean()


class DependenceEstimator(nn.Module, ABC):
    """A network that is trained beside the autoencoder to see how two codes depend."""

    @abstractmethod
    def loss(self, content: Tensor, style: Tensor) -> Tensor:
        """What its own training minimises, scalar, of codes ``[n, d]`` without graph."""

    @abstractmethod
    def penalty(self, content: Tensor, style: Tensor) -> Tensor:
        """How much the codes ``[n, d]`` depend, scalar; the autoencoder minimises it."""


class _Conditional(DependenceEstimator):
    """Bounds that need q(style | content), with a hidden layer as wide as the codes."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.conditional = ConditionalGaussian(dimension, dimension, dimension)

    def loss(self, content: Tensor, style: Tensor) -> Tensor:
        """Negative log-likelihood of the style given the content."""
        return -self.conditional.log_likelihood(content, style).mean()


class Club(_Conditional):
    """The bound CLUB-S; see :func:`club_sampled`."""

    def penalty(self, content: Tensor, style: Tensor) -> Tensor:
        """The bound, in nats."""
        return club_sampled(self.conditional.log_density(content, style))


class LeaveOneOut(_Conditional):
    """The bound L1OutUB; see :func:`leave_one_out`."""

    def penalty(self, content: Tensor, style: Tensor) -> Tensor:
        """The bound, in nats."""
        return leave_one_out(self.conditional.log_density(content, style))


class TotalCorrelation(DependenceEstimator):
    r"""Density ratio of the joint codes and of codes that are independent by construction.

    A discriminator tells pairs :math:`(z_c, z_s)` of one image from pairs whose styles were
    moved on by one image. Its logit estimates :math:`\log p(z_c, z_s) / p(z_c) p(z_s)`, whose
    mean over joint pairs is the mutual information of the two codes.

    References:
        Kim and Mnih (2018), *Disentangling by factorising*, eq. 3, arXiv:1802.05983; between
        two codes as in Sun, Goldstein and Engelhard (2025), arXiv:2507.18794.
    """

    def __init__(self, dimension: int) -> None:
        """Build the discriminator; its hidden layers are as wide as both codes.

        Args:
            dimension: Of each of the two codes.
        """
        super().__init__()
        width = 2 * dimension
        self.discriminator = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def log_ratio(self, content: Tensor, style: Tensor) -> Tensor:
        """Logit of each pair, ``[n]``: positive where it looks like one of one image."""
        logit: Tensor = self.discriminator(torch.cat([content, style], dim=1))
        return logit.squeeze(1)

    def loss(self, content: Tensor, style: Tensor) -> Tensor:
        """Cross-entropy of telling joint pairs from moved ones."""
        joint = self.log_ratio(content, style)
        moved = self.log_ratio(content, style.roll(1, dims=0))
        return 0.5 * (functional.softplus(-joint) + functional.softplus(moved)).mean()

    def penalty(self, content: Tensor, style: Tensor) -> Tensor:
        """Mean of the positive part of the log ratio of joint pairs, >= 0, in nats."""
        return self.log_ratio(content, style).relu().mean()


@dataclass(frozen=True)
class DependenceDefaults:
    """How a penalty on dependence is used in the CLEAR paper.

    Attributes:
        make: Makes the estimator for codes of a dimension.
        weight: Of the penalty.
        learning_rate: Of the estimator's Adam.
        steps: Of the estimator, for each step of the autoencoder.
    """

    make: type[Club] | type[LeaveOneOut] | type[TotalCorrelation]
    weight: float
    learning_rate: float
    steps: int


DEPENDENCE: dict[str, DependenceDefaults] = {
    "club": DependenceDefaults(Club, weight=3, learning_rate=2e-3, steps=5),
    "l1out": DependenceDefaults(LeaveOneOut, weight=3, learning_rate=2e-3, steps=5),
    "tc": DependenceDefaults(TotalCorrelation, weight=1, learning_rate=1e-4, steps=1),
}

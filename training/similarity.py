"""How alike two Gaussian codes are."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional

SimilarityName = Literal["cosine", "l2", "mahalanobis", "modified_l2", "jeffrey"]


def cosine(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Cosine of the angle between the means, :math:`\mu_i \cdot \mu_j / |\mu_i||\mu_j|`.

    Args:
        mu: Means, ``[batch, dimension]``.
        logvar: Log variances, ``[batch, dimension]``; not read.

    Returns:
        ``[batch, batch]`` in [-1, 1]. A mean of length 0 has the similarity 0 to all.

    Examples:
        >>> import torch
        >>> mu = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
        >>> cosine(mu, torch.zeros_like(mu))[0]
        tensor([1., 0., 1.])
    """
    direction = functional.normalize(mu, dim=1)
    return direction @ direction.T


def l2(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Minus the squared distance of the means, :math:`-\sum_d (\mu_{id} - \mu_{jd})^2`.

    Args:
        mu: Means, ``[batch, dimension]``.
        logvar: Log variances, ``[batch, dimension]``; not read.

    Returns:
        ``[batch, batch]`` <= 0.

    Examples:
        >>> import torch
        >>> mu = torch.tensor([[1.0], [3.0]])
        >>> l2(mu, torch.zeros_like(mu))
        tensor([[-0., -4.],
                [-4., -0.]])
    """
    return -_squared_difference(mu).sum(dim=2)


def mahalanobis(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Minus the squared distance of the means in units of their mean variance.

    .. math:: -\sum_d \frac{(\mu_{id} - \mu_{jd})^2}{(e^{v_{id}} + e^{v_{jd}}) / 2}

    Args:
        mu: Means, ``[batch, dimension]``.
        logvar: Log variances :math:`v`, ``[batch, dimension]``.

    Returns:
        ``[batch, batch]`` <= 0.
    """
    variance = logvar.exp()
    pooled = 0.5 * (variance[:, None] + variance[None])
    return -(_squared_difference(mu) / pooled).sum(dim=2)


def modified_l2(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Minus the squared distance of the means in units of their geometric mean variance.

    .. math:: -\sum_d (\mu_{id} - \mu_{jd})^2 \, e^{-(v_{id} + v_{jd}) / 2}

    Args:
        mu: Means, ``[batch, dimension]``.
        logvar: Log variances :math:`v`, ``[batch, dimension]``.

    Returns:
        ``[batch, batch]`` <= 0.
    """
    pooled = (0.5 * (logvar[:, None] + logvar[None])).exp()
    return -(_squared_difference(mu) / pooled).sum(dim=2)


def jeffrey(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Minus the divergence of Jeffreys, :math:`-KL(q_i \| q_j) - KL(q_j \| q_i)`.

    .. math:: -\tfrac12 \sum_d \left[ e^{v_{id} - v_{jd}} + e^{v_{jd} - v_{id}} - 2
        + (\mu_{id} - \mu_{jd})^2 (e^{-v_{id}} + e^{-v_{jd}}) \right]

    Written from the definition. The code released with the CLEAR paper has a broadcast slip in
    this line, so values computed with it (every ``jeffrey`` row of the golden file) differ.

    Args:
        mu: Means, ``[batch, dimension]``.
        logvar: Log variances :math:`v`, ``[batch, dimension]``.

    Returns:
        ``[batch, batch]`` <= 0, in nats.

    References:
        Jeffreys (1946), *An invariant form for the prior probability in estimation problems*,
        Proc. R. Soc. A 186, 453-461, doi:10.1098/rspa.1946.0056.
    """
    precision = (-logvar).exp()
    location = _squared_difference(mu) * (precision[:, None] + precision[None])
    # e^x + e^-x - 2 without cancellation near x = 0.
    spread = 4 * (0.5 * (logvar[:, None] - logvar[None])).sinh().square()
    return -0.5 * (location + spread).sum(dim=2)


def _squared_difference(mu: Tensor) -> Tensor:
    """``[batch, batch, dimension]``, exactly 0 on the diagonal."""
    return (mu[:, None] - mu[None]).square()


#: From means and log variances, each ``[batch, dimension]``, to ``[batch, batch]``.
Similarity = Callable[[Tensor, Tensor], Tensor]

SIMILARITIES: dict[SimilarityName, Similarity] = {
    "cosine": cosine,
    "l2": l2,
    "mahalanobis": mahalanobis,
    "modified_l2": modified_l2,
    "jeffrey": jeffrey,
}

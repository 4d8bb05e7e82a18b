"""Similarities of Gaussian codes, and the contrastive losses that read them."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SimilarityName = Literal["cosine", "l2", "mahalanobis", "modified_l2", "jeffrey"]
ContrastName = Literal["snn", "supcon_in", "supcon_out"]


def cosine(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Cosine of the angle between the means, :math:`\mu_i \cdot \mu_j / |\mu_i||\mu_j|`.

    Args:
        mu: Means, ``[batch, dimension]``.
        logvar: Log variances, ``[batch, dimension]``; not read.

    Returns:
        ``[batch, batch]`` in [-1, 1]. A mean of length 0 has the similarity 0 to all.

    Examples:
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


def same_label(label: Tensor) -> Tensor:
    """Which samples are positives if those of one label are, ``[batch, batch]`` bool.

    >>> same_label(torch.tensor([0, 0, 1]))[0]
    tensor([ True,  True, False])
    """
    return label[:, None] == label[None]


def different_label(label: Tensor) -> Tensor:
    """Which samples are positives once the pairs are switched, ``[batch, batch]`` bool.

    >>> different_label(torch.tensor([0, 0, 1]))[0]
    tensor([False, False,  True])
    """
    return ~same_label(label)


def soft_nearest_neighbour(similarity: Tensor, positive: Tensor, temperature: float) -> Tensor:
    r"""Soft nearest neighbour loss of each anchor that has a positive.

    .. math:: \ell_i = -\log \frac{\sum_{j:\,p_{ij}} \exp(s_{ij}/\tau)}
                                  {\sum_{j \neq i} \exp(s_{ij}/\tau)}

    Args:
        similarity: :math:`s`, ``[batch, batch]`` float, larger is more alike. Its diagonal is
            not read. Left unchanged.
        positive: :math:`p`, ``[batch, batch]`` bool, True where sample j is a positive of
            anchor i. Its diagonal is not read.
        temperature: :math:`\tau` > 0, in the unit of ``similarity``.

    Returns:
        ``[anchor]`` float >= 0 up to rounding, ``anchor <= batch``: anchors without a positive
        are left out, so the result is empty if there is none. It is never NaN.

    Raises:
        ValueError: ``temperature`` is not positive, or the shapes differ.

    References:
        Frosst, Papernot and Hinton (2019), *Analyzing and improving representations with the
        soft nearest neighbor loss*, eq. 1, arXiv:1902.01889.

    Examples:
        >>> similarity = torch.zeros(4, 4)
        >>> positive = same_label(torch.tensor([0, 0, 1, 1]))
        >>> soft_nearest_neighbour(similarity, positive, temperature=0.1)
        tensor([1.0986, 1.0986, 1.0986, 1.0986])
    """
    logits, near = _anchors(similarity, positive, temperature)
    return logits.logsumexp(dim=1) - logits.masked_fill(~near, -torch.inf).logsumexp(dim=1)


def supcon_in(similarity: Tensor, positive: Tensor, temperature: float) -> Tensor:
    r"""Supervised contrastive loss of each anchor, its positives averaged inside the logarithm.

    .. math:: \ell_i = -\log \frac{1}{|P_i|} \sum_{j \in P_i}
        \frac{\exp(s_{ij}/\tau)}{\sum_{k \neq i} \exp(s_{ik}/\tau)}

    The code released with the CLEAR paper counts one positive too few once the pairs are
    switched, so values computed with it (``supcon_in_loss`` rows of the golden file with pair
    switching) differ. Its rows without pair switching agree.

    Args:
        similarity: :math:`s`, ``[batch, batch]`` float. Its diagonal is not read.
        positive: True where j is in :math:`P_i`, ``[batch, batch]`` bool. Its diagonal is not
            read.
        temperature: :math:`\tau` > 0, in the unit of ``similarity``.

    Returns:
        ``[anchor]`` float: anchors without a positive are left out. It is never NaN.

    Raises:
        ValueError: ``temperature`` is not positive, or the shapes differ.

    References:
        Khosla et al. (2020), *Supervised contrastive learning*, eq. 3, arXiv:2004.11362.

    Examples:
        >>> positive = same_label(torch.tensor([0, 0, 1, 1]))
        >>> supcon_in(torch.zeros(4, 4), positive, temperature=0.1)
        tensor([1.0986, 1.0986, 1.0986, 1.0986])
    """
    logits, near = _anchors(similarity, positive, temperature)
    attracted = logits.masked_fill(~near, -torch.inf).logsumexp(dim=1)
    return logits.logsumexp(dim=1) - attracted + near.sum(dim=1).log()


def supcon_out(similarity: Tensor, positive: Tensor, temperature: float) -> Tensor:
    r"""Supervised contrastive loss of each anchor, its positives averaged outside of it.

    .. math:: \ell_i = -\frac{1}{|P_i|} \sum_{j \in P_i}
        \log \frac{\exp(s_{ij}/\tau)}{\sum_{k \neq i} \exp(s_{ik}/\tau)}

    The code released with the CLEAR paper leaves the temperature out of the numerator, so
    values computed with it (every ``supcon_out_loss`` row of the golden file) differ.

    Args:
        similarity: :math:`s`, ``[batch, batch]`` float. Its diagonal is not read.
        positive: True where j is in :math:`P_i`, ``[batch, batch]`` bool. Its diagonal is not
            read.
        temperature: :math:`\tau` > 0, in the unit of ``similarity``.

    Returns:
        ``[anchor]`` float: anchors without a positive are left out. It is never NaN.

    Raises:
        ValueError: ``temperature`` is not positive, or the shapes differ.

    References:
        Khosla et al. (2020), *Supervised contrastive learning*, eq. 2, arXiv:2004.11362.

    Examples:
        >>> positive = same_label(torch.tensor([0, 0, 1, 1]))
        >>> supcon_out(torch.zeros(4, 4), positive, temperature=0.1)
        tensor([1.0986, 1.0986, 1.0986, 1.0986])
    """
    logits, near = _anchors(similarity, positive, temperature)
    attracted = logits.masked_fill(~near, 0).sum(dim=1) / near.sum(dim=1)
    return logits.logsumexp(dim=1) - attracted


def _anchors(similarity: Tensor, positive: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Rows of the anchors with a positive: scaled similarity, -inf to itself; its positives."""
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    if similarity.shape != positive.shape:
        raise ValueError(
            "similarity and positive must have the same shape [batch, batch], "
            f"got {tuple(similarity.shape)} and {tuple(positive.shape)}."
        )
    itself = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    near = positive & ~itself
    anchor = near.any(dim=1)
    return (similarity / temperature).masked_fill(itself, -torch.inf)[anchor], near[anchor]


Similarity = Callable[[Tensor, Tensor], Tensor]
Contrast = Callable[[Tensor, Tensor, float], Tensor]

SIMILARITIES: dict[SimilarityName, Similarity] = {
    "cosine": cosine,
    "l2": l2,
    "mahalanobis": mahalanobis,
    "modified_l2": modified_l2,
    "jeffrey": jeffrey,
}
CONTRASTS: dict[ContrastName, Contrast] = {
    "snn": soft_nearest_neighbour,
    "supcon_in": supcon_in,
    "supcon_out": supcon_out,
}


def mean_over_anchors(loss: Tensor) -> Tensor:
    """Mean of ``[anchor]``; a batch without anchors costs 0 and keeps the graph.

    >>> mean_over_anchors(torch.zeros(0))
    tensor(0.)
    """
    return loss.sum() / max(len(loss), 1)

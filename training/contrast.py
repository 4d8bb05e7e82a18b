"""Contrastive losses: anchors are pulled to their positives and pushed from the rest."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from training.pairs import Pairs

ContrastName = Literal["snn", "supcon_in", "supcon_out"]


def soft_nearest_neighbour(similarity: Tensor, pairs: Pairs, temperature: float) -> Tensor:
    r"""Soft nearest neighbour loss of each anchor that has a positive.

    .. math:: \ell_i = -\log \frac{\sum_{j:\,p_{ij}} \exp(s_{ij}/\tau)}
                                  {\sum_{j \in A_i} \exp(s_{ij}/\tau)}

    Args:
        similarity: :math:`s`, ``[batch, batch]`` float, larger is more alike. Its diagonal is
            not read. Left unchanged.
        pairs: Positives :math:`p`, and candidates :math:`A_i`, each without the anchor itself.
        temperature: :math:`\tau` > 0, in the unit of ``similarity``.

    Returns:
        ``[batch]`` float >= 0 up to rounding; 0 for an anchor without a positive, which
        :func:`mean_over_anchors` leaves out. Never NaN.

    Raises:
        ValueError: ``temperature`` is not positive, or the shapes differ.

    References:
        Frosst, Papernot and Hinton (2019), *Analyzing and improving representations with the
        soft nearest neighbor loss*, eq. 1, arXiv:1902.01889.

    Examples:
        >>> from training.pairs import same_label
        >>> pairs = same_label(torch.tensor([0, 0, 1, 1]))
        >>> soft_nearest_neighbour(torch.zeros(4, 4), pairs, temperature=0.1)
        tensor([1.0986, 1.0986, 1.0986, 1.0986])
    """
    logits, near, anchor = _anchors(similarity, pairs, temperature)
    attracted = logits.masked_fill(~near, -torch.inf).logsumexp(dim=1)
    return (logits.logsumexp(dim=1) - attracted).where(anchor, 0)


def supcon_in(similarity: Tensor, pairs: Pairs, temperature: float) -> Tensor:
    r"""Supervised contrastive loss of each anchor, its positives averaged inside the logarithm.

    .. math:: \ell_i = -\log \frac{1}{|P_i|} \sum_{j \in P_i}
        \frac{\exp(s_{ij}/\tau)}{\sum_{k \in A_i} \exp(s_{ik}/\tau)}

    The code released with the CLEAR paper counts one positive too few once the pairs are
    switched, so values computed with it (``supcon_in_loss`` rows of the golden file with pair
    switching) differ. Its rows without pair switching agree.

    Args:
        similarity: :math:`s`, ``[batch, batch]`` float. Its diagonal is not read.
        pairs: Positives :math:`P_i`, and candidates :math:`A_i`, each without the anchor
            itself.
        temperature: :math:`\tau` > 0, in the unit of ``similarity``.

    Returns:
        ``[batch]`` float; 0 for an anchor without a positive, which :func:`mean_over_anchors`
        leaves out. Never NaN.

    Raises:
        ValueError: ``temperature`` is not positive, or the shapes differ.

    References:
        Khosla et al. (2020), *Supervised contrastive learning*, eq. 3, arXiv:2004.11362.

    Examples:
        >>> from training.pairs import same_label
        >>> pairs = same_label(torch.tensor([0, 0, 1, 1]))
        >>> supcon_in(torch.zeros(4, 4), pairs, temperature=0.1)
        tensor([1.0986, 1.0986, 1.0986, 1.0986])
    """
    logits, near, anchor = _anchors(similarity, pairs, temperature)
    attracted = logits.masked_fill(~near, -torch.inf).logsumexp(dim=1) - near.sum(dim=1).log()
    return (logits.logsumexp(dim=1) - attracted).where(anchor, 0)


def supcon_out(similarity: Tensor, pairs: Pairs, temperature: float) -> Tensor:
    r"""Supervised contrastive loss of each anchor, its positives averaged outside of it.

    .. math:: \ell_i = -\frac{1}{|P_i|} \sum_{j \in P_i}
        \log \frac{\exp(s_{ij}/\tau)}{\sum_{k \in A_i} \exp(s_{ik}/\tau)}

    The code released with the CLEAR paper leaves the temperature out of the numerator, so
    values computed with it (every ``supcon_out_loss`` row of the golden file) differ.

    Args:
        similarity: :math:`s`, ``[batch, batch]`` float. Its diagonal is not read.
        pairs: Positives :math:`P_i`, and candidates :math:`A_i`, each without the anchor
            itself.
        temperature: :math:`\tau` > 0, in the unit of ``similarity``.

    Returns:
        ``[batch]`` float; 0 for an anchor without a positive, which :func:`mean_over_anchors`
        leaves out. Never NaN.

    Raises:
        ValueError: ``temperature`` is not positive, or the shapes differ.

    References:
        Khosla et al. (2020), *Supervised contrastive learning*, eq. 2, arXiv:2004.11362.

    Examples:
        >>> from training.pairs import same_label
        >>> pairs = same_label(torch.tensor([0, 0, 1, 1]))
        >>> supcon_out(torch.zeros(4, 4), pairs, temperature=0.1)
        tensor([1.0986, 1.0986, 1.0986, 1.0986])
    """
    logits, near, anchor = _anchors(similarity, pairs, temperature)
    attracted = logits.masked_fill(~near, 0).sum(dim=1) / near.sum(dim=1)
    return (logits.logsumexp(dim=1) - attracted).where(anchor, 0)


def _anchors(
    similarity: Tensor, pairs: Pairs, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Scaled similarity, -inf to what is no candidate; positives; whether a row has one.

    A row without a positive has all as positives, so that its loss and gradient stay finite
    until it is left out. Leaving it out here would need its number on the host, which stops a
    GPU at every step.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    if similarity.shape != pairs.positive.shape:
        raise ValueError(
            "similarity and pairs must have the same shape [batch, batch], "
            f"got {tuple(similarity.shape)} and {tuple(pairs.positive.shape)}."
        )
    other = ~torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    near = pairs.positive & other
    anchor = near.any(dim=1)
    none = ~anchor[:, None]
    candidate = (pairs.candidate & other) | none
    return (similarity / temperature).masked_fill(~candidate, -torch.inf), near | none, anchor


def mean_over_anchors(loss: Tensor, pairs: Pairs) -> Tensor:
    """Mean over the anchors that have a positive; 0, with a graph, if there is none.

    Args:
        loss: ``[batch]``, 0 for an anchor without a positive.
        pairs: What the loss was computed with.

    Examples:
        >>> from training.pairs import same_label
        >>> pairs = same_label(torch.tensor([0, 0, 1]))
        >>> mean_over_anchors(torch.tensor([2.0, 4.0, 0.0]), pairs)
        tensor(3.)
    """
    other = ~torch.eye(len(loss), dtype=torch.bool, device=loss.device)
    anchors = (pairs.positive & other).any(dim=1).sum()
    return loss.sum() / anchors.clamp(min=1)


#: From similarity ``[batch, batch]``, pairs and temperature to the loss of each anchor.
Contrast = Callable[[Tensor, Pairs, float], Tensor]

CONTRASTS: dict[ContrastName, Contrast] = {
    "snn": soft_nearest_neighbour,
    "supcon_in": supcon_in,
    "supcon_out": supcon_out,
}

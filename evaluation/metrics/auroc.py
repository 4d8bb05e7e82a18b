"""Area under the receiver operating characteristic."""

import numpy as np

from evaluation.metric import Array, by_score, dot, metric, ratio


@metric(better="higher", reads="score", needs="both", label="AUROC", proportion=True)
def auroc(label: Array, score: Array, weight: Array) -> Array:
    r"""Chance that a positive sample scores above a negative one, ties counting one half.

    .. math:: P(s^+ > s^-) + \tfrac12 P(s^+ = s^-)

    Args:
        label: 0 or 1, ``[n]``.
        score: Any order-preserving score, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]; 0.5 is chance. NaN if a class is absent or has no weight.

    References:
        Bamber (1975), *The area above the ordinal dominance graph and the area below the
        receiver operating characteristic graph*, J. Math. Psychology 12, 387-415, eq. 5.

    Examples:
        >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
        >>> auroc([1, 1], [0.2, 0.3])
        nan
    """
    if len(label) == 0:
        return np.full(weight.shape[:-1], np.nan)
    positive, negative = by_score(label, score, weight)
    below = negative.cumsum(axis=-1)
    below -= negative / 2
    return ratio(dot(positive, below), positive.sum(axis=-1) * negative.sum(axis=-1))

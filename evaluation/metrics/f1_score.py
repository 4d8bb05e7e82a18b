"""F1 score."""

import numpy as np

from evaluation.metric import Array, metric, ratio


@metric(better="higher", reads="decision", needs="positive", label="F1 score")
def f1_score(label: Array, decision: Array, weight: Array) -> Array:
    r"""Harmonic mean of precision and sensitivity, :math:`2TP / (2TP + FP + FN)`.

    Args:
        label: 0 or 1, ``[n]``.
        decision: 0 or 1, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]. NaN if no sample is positive. It depends on the prevalence.

    Examples:
        >>> f1_score([1, 1, 0, 0], [1, 0, 1, 0])
        0.5
    """
    hits = weight @ (label * decision)
    positive = weight @ label
    f1 = ratio(2 * hits, positive + weight @ decision)
    return np.where(positive == 0, np.nan, f1)

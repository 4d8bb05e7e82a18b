"""Average precision."""

import numpy as np

from evaluation.metric import Array, by_score, dot, metric, ratio


@metric(better="higher", reads="score", needs="both", label="Average precision")
def average_precision(label: Array, score: Array, weight: Array) -> Array:
    r"""Precision averaged over the steps of recall, :math:`\sum_k (R_k - R_{k-1}) P_k`.

    It depends on the prevalence: between groups of different prevalence a difference is
    expected even of a perfectly fair score.

    Args:
        label: 0 or 1, ``[n]``.
        score: Any order-preserving score, ``[n]``; tied samples are one step.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1]; the prevalence is chance. NaN if a class is absent or has no
        weight.

    References:
        Boyd, Eng and Page (2013), *Area under the precision-recall curve: point estimates and
        confidence intervals*, ECML PKDD, section 2 (the estimator without interpolation).

    Examples:
        >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.8333
    """
    if len(label) == 0:
        return np.full(weight.shape[:-1], np.nan)
    # From the highest score down, as recall grows.
    positive, negative = (each[..., ::-1] for each in by_score(label, score, weight))
    true, false = positive.cumsum(axis=-1), negative.cumsum(axis=-1)
    # A step without weight adds no recall, so its precision (0 / 0) may be anything.
    precision = true / np.maximum(true + false, np.finfo(float).tiny)
    result = ratio(dot(positive, precision), true[..., -1])
    return np.where(false[..., -1] == 0, np.nan, result)

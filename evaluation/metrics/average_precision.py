"""Average precision."""

import numpy as np

from evaluation.metric import Array, metric, ratio


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
    order = np.argsort(-score, kind="stable")
    ties = np.flatnonzero(np.diff(-score[order], prepend=-np.inf))
    weight, positive = weight[..., order], label[order] == 1
    up = np.add.reduceat(weight * positive, ties, axis=-1)
    down = np.add.reduceat(weight * ~positive, ties, axis=-1)
    true, false = up.cumsum(axis=-1), down.cumsum(axis=-1)
    # A step without weight adds no recall, so its precision (0 / 0) may be anything.
    precision = true / np.maximum(true + false, np.finfo(float).tiny)
    result = ratio((up * precision).sum(axis=-1), true[..., -1])
    return np.where(false[..., -1] == 0, np.nan, result)

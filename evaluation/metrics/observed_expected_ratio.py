"""Observed to expected ratio."""

import numpy as np

from evaluation.metric import Array, metric, ratio


@metric(
    better="ideal",
    ideal=1.0,
    reads="score",
    needs="any",
    label="Observed / expected (O:E)",
    highest=np.inf,
)
def observed_expected_ratio(label: Array, score: Array, weight: Array) -> Array:
    r"""Events that occur for each one that the scores expect, :math:`\sum y / \sum s`.

    Above 1 the scores are too low on the whole, below 1 too high. It is calibration in the
    large on the scale of risks; :data:`calibration_intercept` is on the scale of log odds.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` >= 0; 1 is ideal. NaN if no event is expected: without a sample, or where
        every score is 0.

    References:
        Debray et al. (2017), *A guide to systematic review and meta-analysis of prediction
        model performance*, BMJ 356, i6460 (total O:E ratio).

    Examples:
        >>> observed_expected_ratio([1, 0, 0, 1], [0.5, 0.25, 0.0, 0.25])
        2.0
        >>> observed_expected_ratio([0, 0], [0.0, 0.0])
        nan
    """
    return ratio(weight @ label, weight @ score)

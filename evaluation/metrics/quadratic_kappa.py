"""Quadratic kappa."""

import numpy as np

from evaluation.metric import Array, metric, ratio, weighted_mean


@metric(
    better="higher",
    reads="decision",
    needs="any",
    label="Quadratic kappa",
    lowest=-1.0,
    multiclass=True,
)
def quadratic_kappa(label: Array, decision: Array, weight: Array) -> Array:
    r"""Agreement of ordered classes beyond chance, errors counting by their squared distance.

    .. math:: 1 - \frac{\overline{(y-\hat y)^2}}
        {\sigma_y^2 + \sigma_{\hat y}^2 + (\bar y - \bar{\hat y})^2}

    The denominator is the mean squared distance if label and decision were independent. The
    number of classes does not matter, nor whether all occur.

    Args:
        label: 0 or 1, or the class number in the order of severity, ``[n]``.
        decision: 0 or 1, or the decided class number, ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [-1, 1]; 0 is chance. NaN if there is no sample, or if label and decision
        are one and the same class for all samples: chance agrees perfectly then too. It depends
        on how often the classes occur.

    References:
        Cohen (1968), *Weighted kappa: nominal scale agreement with provision for scaled
        disagreement or partial credit*, Psychological Bulletin 70, 213-220.

    Examples:
        >>> quadratic_kappa([0, 1, 2, 3], [0, 1, 2, 2])
        0.875
        >>> quadratic_kappa([1, 1], [1, 1])
        nan
    """
    observed = weighted_mean((label - decision) ** 2, weight)
    means = weighted_mean(label, weight), weighted_mean(decision, weight)
    squares = weighted_mean(label**2 + decision**2, weight)
    expected = squares - 2 * means[0] * means[1]
    # Rounding must not tell a constant from itself.
    expected = np.where(expected <= 1e-12 * squares, 0.0, expected)
    return 1 - ratio(observed, expected)

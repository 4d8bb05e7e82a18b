"""Debiased calibration error."""

import numpy as np
from scipy import sparse

from evaluation.calibration import BINS, bin_of
from evaluation.metric import Array, metric, ratio


@metric(better="lower", reads="score", needs="any", label="Calibration error (debiased)")
def debiased_calibration_error(label: Array, score: Array, weight: Array) -> Array:
    r"""Root mean square calibration error in ten bins, less what chance alone would show.

    .. math:: \sqrt{\max\Bigl(0, \sum_b \frac{n_b}{n}
        \frac{\sum_{i \neq j} w_i w_j r_i r_j}{\sum_{i \neq j} w_i w_j}\Bigr)},
        \quad r_i = y_i - s_i,\ n_b = \sum_{i \in b} w_i

    The square of a bin's mean residual is too large by the variance of that mean, and the more
    so the fewer samples the bin holds: so small groups look worse calibrated than large ones.
    The mean product over pairs of different samples has no such bias. With equal weights it is
    :math:`\bar r_b^2 - \widehat{\operatorname{var}}(r)_b / n_b`, the estimator of Ferro and
    Fricker and of Kumar, Liang and Ma with the variance of the residual in place of the
    label's, as scores differ within a bin.

    A weight is importance, not a count: a sample of weight 2 is not paired with itself, as its
    copies would be. So the bootstrap's draws, where samples recur, centre on the estimate and
    not above it.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``. The bins (0-0.1, ...,
            0.9-1) are common to all groups.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1], lower is better. The sum is unbiased and falls below 0 about half
        the time where the calibration is perfect; it is clipped at 0 before the root, so a 0
        means no more error than chance shows, and the root itself is biased upwards near 0.
        Bins with fewer than two samples cannot be debiased and are left out; NaN if all are.
        Several images of a patient count as independent, so part of their bias remains.

    References:
        Kumar, Liang and Ma (2019), *Verified uncertainty calibration*, NeurIPS 32 (the
        debiased estimator); Ferro and Fricker (2012), *A bias-corrected
        decomposition of the Brier score*, Q. J. R. Meteorol. Soc. 138, 1954-1960.

    Examples:
        >>> round(debiased_calibration_error([1, 1, 1, 0], [0.25, 0.25, 0.25, 0.25]), 4)
        0.433
        >>> debiased_calibration_error([0, 1], [0.5, 0.5])  # fits perfectly, and by chance
        0.0
    """
    shape, n = weight.shape[:-1], len(label)
    if n == 0:
        return np.full(shape, np.nan)
    weight, residual = weight.reshape(-1, n), label - score
    places = bin_of(score), np.arange(n + 1)
    # Sparse, as nine in ten entries would be 0.
    inside = sparse.csr_array((np.ones(n), *places), shape=(n, BINS))
    signed = sparse.csr_array((residual, *places), shape=(n, BINS))
    total, squares = weight @ inside, weight**2
    pairs = total**2 - squares @ inside
    products = (weight @ signed) ** 2 - squares @ signed.power(2)
    # Rounding leaves no pair of a single sample.
    held = pairs > 1e-12 * total**2
    square = np.where(held, total * products / np.where(held, pairs, 1.0), 0.0)
    mean = ratio(square.sum(axis=-1), np.where(held, total, 0.0).sum(axis=-1))
    return np.sqrt(np.maximum(mean, 0.0)).reshape(shape)

"""Expected calibration error."""

import numpy as np

from evaluation.calibration import BINS, bin_of
from evaluation.metric import Array, metric, ratio, run_starts


@metric(better="lower", reads="score", needs="any", label="Calibration error (ECE)")
def expected_calibration_error(label: Array, score: Array, weight: Array) -> Array:
    r"""Distance of mean score and observed frequency, averaged over ten bins of equal width.

    .. math:: \sum_b \frac{n_b}{n} \left| \bar y_b - \bar s_b \right|

    The bins are the same for all groups, so that groups can be compared. It is biased upwards
    in small groups, whose bins hold few samples.

    Args:
        label: 0 or 1, ``[n]``.
        score: Probability of the positive class in [0, 1], ``[n]``.
        weight: >= 0, ``[..., n]``.

    Returns:
        ``[...]`` in [0, 1], lower is better. NaN if there is no sample.

    References:
        Naeini, Cooper and Hauskrecht (2015), *Obtaining well calibrated probabilities using
        Bayesian binning*, AAAI 29, eq. 3.

    Examples:
        >>> round(expected_calibration_error([1, 0, 1, 1], [0.8, 0.2, 0.82, 0.88]), 4)
        0.175
    """
    if len(label) == 0:
        return np.full(weight.shape[:-1], np.nan)
    # Scores ascend in a bootstrap, so that each bin is one run.
    bins = bin_of(score)
    first = run_starts(bins)
    excess = np.add.reduceat(weight * (label - score), first, axis=-1)
    distance = np.abs(excess @ (bins[first][:, None] == np.arange(BINS))).sum(axis=-1)
    return ratio(distance, weight.sum(axis=-1))

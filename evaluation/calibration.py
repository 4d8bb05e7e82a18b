"""Reliability: how often the positive class occurs at each predicted probability."""

import numpy as np

from evaluation.bootstrap import patient_weights
from evaluation.metric import Array, ratio

BINS = 10


def reliability(label: Array, score: Array, weight: Array) -> tuple[Array, Array]:
    """Mean score and observed frequency in bins of equal width.

    Args:
        label: ``[n]``, 0 or 1.
        score: ``[n]`` in [0, 1].
        weight: ``[..., n]`` >= 0.

    Returns:
        Mean score and frequency of label 1, each ``[..., 10]``; NaN in bins without weight. The
        bins (0-0.1, ..., 0.9-1) are common to all groups, so that their curves can be compared.
    """
    inside = bin_of(score)[:, None] == np.arange(BINS)
    total = weight @ inside
    return ratio(weight @ (inside * score[:, None]), total), ratio(
        weight @ (inside * label[:, None]), total
    )


def bin_of(score: Array) -> Array:
    """Which of the ten bins each score is in; the last one holds 1.

    >>> bin_of(np.array([0.0, 0.05, 0.1, 1.0]))
    array([0, 0, 1, 9])
    """
    index: Array = np.minimum((score * BINS).astype(int), BINS - 1)
    return index


def reliability_band(
    label: Array, score: Array, patient: Array, draws: int, seed: int, confidence: float
) -> tuple[Array, Array]:
    """Pointwise interval of the observed frequency in each bin, over resampled patients.

    Returns:
        Low and high, each ``[10]``; NaN in bins that more than 5 % of the draws leave empty.
    """
    blocks = [
        reliability(label, score, weight)[1] for weight in patient_weights(patient, draws, seed)
    ]
    observed = np.concatenate(blocks)
    kept = np.isnan(observed).mean(axis=0) <= 0.05
    low, high = np.full(BINS, np.nan), np.full(BINS, np.nan)
    if kept.any():
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        low[kept], high[kept] = np.nanquantile(observed[:, kept], tails, axis=0)
    return low, high

"""Spread between groups, less the part that chance alone makes."""

from typing import NamedTuple

import numpy as np

from evaluation.intervals import UNDEFINED_DRAWS
from evaluation.metric import Array


class Spread(NamedTuple):
    """How much groups differ, as a standard deviation over groups that count the same.

    Attributes:
        raw: Of the estimates. Chance alone makes it positive.
        corrected: Estimate of that of the true values; 0 if the estimates differ no more than
            by chance.
        null_high: A raw spread up to this is to be expected, at the confidence, if all groups
            are truly alike.
        low: Lower end of the true spread's interval, >= 0.
        high: Upper end.
    """

    raw: float
    corrected: float
    null_high: float
    low: float
    high: float


def between_group_spread(point: Array, draws: Array, confidence: float = 0.95) -> Spread:
    r"""Raw and bias-corrected standard deviation between groups.

    The variance of estimates exceeds that of the true values by the sampling variance, which
    the draws know: it is the mean variance between groups of the draws' deviations from their
    mean, covariances of groups that share patients included. Taken off once, the sample's
    variance is unbiased. A draw carries the sampling variance twice, of the sample and its own;
    taken off twice, the draws' variances centre on the same value and give the interval.

    Args:
        point: ``[group]``.
        draws: ``[draw, group]``.
        confidence: Of the two-sided interval and of ``null_high``, in (0, 1).

    Returns:
        The spread; all NaN with fewer than two groups, an undefined estimate, or more than 5 %
        of the draws undefined in some group.

    References:
        Lum, Zhang and Bower (2022), *De-biasing "bias" measurement*, FAccT, 379-389,
        arXiv:2205.05770 (the corrected and the double-corrected variance, groups weighted
        alike). The sampling variance is from the draws here, in place of their
        :math:`\hat\mu(1-\hat\mu)/n`, so that it holds for every metric and for several
        images a patient. Like any bootstrap variance it is a share of 1/n too small for groups
        of n patients: with groups of about ten, a tenth of the chance remains.

    Examples:
        >>> point = np.array([0.7, 0.8, 0.9])
        >>> draws = np.random.default_rng(0).normal(point, 0.05, (2000, 3))
        >>> found = between_group_spread(point, draws)
        >>> round(found.raw, 2), round(found.corrected, 2), round(found.null_high, 2)
        (0.1, 0.09, 0.09)
    """
    drawn = draws[~np.isnan(draws).any(axis=1)]
    too_few = len(drawn) < max(2, (1 - UNDEFINED_DRAWS) * len(draws))
    if len(point) < 2 or np.isnan(point).any() or too_few:
        return Spread(np.nan, np.nan, np.nan, np.nan, np.nan)
    chance = (drawn - drawn.mean(axis=0)).var(axis=1, ddof=1)
    noise = chance.sum() / (len(drawn) - 1)
    tail = (1 - confidence) / 2
    ends = np.quantile(drawn.var(axis=1, ddof=1) - 2 * noise, [tail, 1 - tail])
    corrected, low, high = (_root(v) for v in (point.var(ddof=1) - noise, *ends))
    null_high = np.quantile(chance, confidence) ** 0.5
    return Spread(float(point.std(ddof=1)), corrected, float(null_high), low, high)


def _root(variance: float) -> float:
    return float(max(variance, 0.0) ** 0.5)

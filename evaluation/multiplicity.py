"""Many differences at once: simultaneous bands, adjusted p values and what can be found."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import false_discovery_control, norm

from evaluation.intervals import UNDEFINED_DRAWS
from evaluation.metric import Array


class Simultaneous(NamedTuple):
    """Bands and p values that hold for a whole family of differences.

    Attributes:
        critical: So many standard errors wide are the bands to either side; NaN if there is no
            family.
        bands: ``[k, 2]``, lower and upper end, NaN for what is left out.
        p: ``[k]`` adjusted, in (0, 1], NaN for what is left out.
    """

    critical: float
    bands: Array
    p: Array


def max_t(point: Array, draws: Array, confidence: float) -> Simultaneous:
    r"""Bands of all differences at once, and p values adjusted for looking at all of them.

    The largest of all studentised deviations :math:`\max_k |d_k - \hat d_k| / s_k` of a draw
    has a quantile :math:`c`; all true differences lie within :math:`\hat d_k \pm c\,s_k` at
    once with the given confidence. Correlated differences, such as those against the same
    reference group, are paid for once. The p values step down: the largest of all is compared
    with the maximum over all, the next one with the maximum over the rest.

    Args:
        point: ``[k]`` differences.
        draws: ``[draw, k]``, of the same bootstrap. An undefined one takes no part in the
            maximum of its draw.
        confidence: Of all bands together, in (0, 1).

    Returns:
        The critical value, bands and p values. Left out is what has no standard error, see
        :func:`standard_error`, or one of 0.

    References:
        Romano and Wolf (2005), *Exact and approximate stepdown methods for multiple hypothesis
        testing*, J. Am. Stat. Assoc. 100, 94-108 (algorithm 3, studentised); Westfall and Young
        (1993), *Resampling-based multiple testing*.

    Examples:
        >>> draws = np.random.default_rng(0).normal(size=(1000, 3))
        >>> found = max_t(np.array([0.0, 2.0, 5.0]), draws + [0, 2, 5], 0.95)
        >>> round(found.critical, 1), found.p.round(2).tolist()
        (2.4, [1.0, 0.08, 0.0])
    """
    bands, p = np.full((len(point), 2), np.nan), np.full(len(point), np.nan)
    error = standard_error(draws)
    inside = np.flatnonzero(~np.isnan(point) & (error > 0))
    if len(inside) == 0:
        return Simultaneous(np.nan, bands, p)
    error, estimate = error[inside], point[inside]
    deviation = np.abs(draws[:, inside] - estimate) / error
    deviation = np.where(np.isnan(deviation), 0.0, deviation)
    critical = float(np.quantile(deviation.max(axis=1), confidence, method="higher"))
    bands[inside] = estimate[:, None] + critical * error[:, None] * [-1, 1]
    p[inside] = _step_down(np.abs(estimate) / error, deviation)
    return Simultaneous(critical, bands, p)


def _step_down(statistic: Array, deviation: Array) -> Array:
    order = np.argsort(statistic)
    # The maximum over each difference and all that are smaller.
    largest = np.maximum.accumulate(deviation[:, order], axis=1)
    p = _share_beyond(statistic[order], largest)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[::-1])[::-1]
    return adjusted


def bootstrap_p(point: Array, draws: Array) -> Array:
    """Two-sided p values of the differences being 0, each by itself.

    The draws, shifted so that they centre on 0, say how far an estimate strays if there is no
    difference.

    Args:
        point: ``[k]`` differences.
        draws: ``[draw, k]``.

    Returns:
        ``[k]`` in (0, 1], at least one over the number of draws and one: the sample itself
        counts as a draw. NaN where there is no standard error, see :func:`standard_error`, or
        one of 0.

    References:
        Davison and Hinkley (1997), *Bootstrap methods and their application*, eq. 4.11, for
        counting the sample in.

    Examples:
        >>> bootstrap_p(np.array([3.0]), np.array([[1.0], [3.0], [5.0], [6.0]])).tolist()
        [0.4]
    """
    p = _share_beyond(np.abs(point), np.abs(draws - point))
    testable = ~np.isnan(point) & (standard_error(draws) > 0)
    tested: Array = np.where(testable, p, np.nan)
    return tested


def _share_beyond(statistic: Array, deviation: Array) -> Array:
    """Share of the draws, and the sample, that stray at least as far."""
    # Equal up to rounding is equal: a share of few patients takes few values.
    beyond = deviation >= statistic * (1 - 1e-12)
    defined = ~np.isnan(deviation)
    shares: Array = (1 + beyond.sum(axis=0)) / (1 + defined.sum(axis=0))
    return shares


def standard_error(draws: Array) -> Array:
    """Standard deviation of the defined draws.

    Args:
        draws: ``[draw, k]``, NaN where undefined.

    Returns:
        ``[k]`` >= 0. NaN if more than 5 % of the draws, or all but one, are undefined. Exactly
        0 where no draw differs from another up to rounding.
    """
    defined = ~np.isnan(draws)
    count = defined.sum(axis=0)
    enough = (count > 1) & (count >= (1 - UNDEFINED_DRAWS) * len(draws))
    count = np.where(enough, count, 2)
    mean = np.where(defined, draws, 0).sum(axis=0) / count
    squares = (np.where(defined, draws - mean, 0) ** 2).sum(axis=0)
    error: Array = np.sqrt(squares / (count - 1))
    error[error < 1e-12] = 0
    error[~enough] = np.nan
    return error


def benjamini_hochberg(p: Array) -> Array:
    """Adjusted p values that bound the expected share of false findings among all findings.

    Args:
        p: ``[k]``, independent or positively dependent; NaN ones take no part.

    Returns:
        ``[k]`` in [0, 1]: calling all up to q makes on average a share of at most q of the
        calls false. NaN where ``p`` is.

    References:
        Benjamini and Hochberg (1995), *Controlling the false discovery rate: a practical and
        powerful approach to multiple testing*, J. R. Statist. Soc. B 57, 289-300.

    Examples:
        >>> benjamini_hochberg(np.array([0.01, np.nan, 0.04])).tolist()
        [0.02, nan, 0.04]
    """
    return _adjusted(p, "bh")


def benjamini_yekutieli(p: Array) -> Array:
    """As :func:`benjamini_hochberg`, whatever the dependence, at the price of power.

    References:
        Benjamini and Yekutieli (2001), *The control of the false discovery rate in multiple
        testing under dependency*, Ann. Statist. 29, 1165-1188.

    Examples:
        >>> benjamini_yekutieli(np.array([0.01, np.nan, 0.04])).tolist()
        [0.03, nan, 0.06]
    """
    return _adjusted(p, "by")


def _adjusted(p: Array, method: Literal["bh", "by"]) -> Array:
    defined = ~np.isnan(p)
    adjusted = np.full(len(p), np.nan)
    if defined.any():
        adjusted[defined] = false_discovery_control(p[defined], method=method)
    return adjusted


def detectable(standard_error: Array, confidence: float, power: float = 0.8) -> Array:
    """Smallest true difference that a single two-sided test finds with the given power.

    Args:
        standard_error: Of the difference, >= 0, any shape; NaN stays NaN.
        confidence: One minus the level of the test, in (0, 1).
        power: In (0, 1).

    Returns:
        As many, in the unit of the standard error, by the normal approximation.

    Examples:
        >>> round(float(detectable(np.array(0.05), 0.95)), 4)
        0.1401
    """
    found: Array = standard_error * (norm.ppf((1 + confidence) / 2) + norm.ppf(power))
    return found

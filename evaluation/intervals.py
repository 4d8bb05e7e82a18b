"""Intervals from bootstrap draws, with an exact bound where the draws do not vary."""

from typing import NamedTuple

import numpy as np

from evaluation.metric import Array, Metric

#: No interval of any kind is given if more than this share of the draws were undefined.
UNDEFINED_DRAWS = 0.05


class Interval(NamedTuple):
    """A two-sided interval.

    Attributes:
        low: Lower end, NaN if there is none.
        high: Upper end, NaN if there is none.
        reason: Why there is no interval, or which one it is if not the percentile interval;
            else empty.
    """

    low: float
    high: float
    reason: str = ""


def interval(
    metric: Metric,
    point: float,
    draws: Array,
    units: int,
    confidence: float,
    *,
    change: bool = False,
) -> Interval:
    """Interval of one metric in one group, or of its change between two models.

    The percentile interval of the draws. Where every draw equals the point (a perfect group of
    any size, two models that decide alike) the bootstrap would claim certainty, so the bound is
    then the exact binomial one for ``units`` independent patients who were all on one side; for
    an AUROC of 1 these are disjoint pairs of a positive and a negative patient.

    Args:
        metric: What was computed.
        point: On the sample; NaN if undefined.
        draws: ``[draw]``, NaN where a draw left it undefined.
        units: Patients that the metric rests on.
        confidence: Two-sided, in (0, 1).
        change: Whether it is a difference, in [-1, 1].

    Returns:
        The interval. NaN, with the reason, if the point is undefined, if more than 5 % of the
        draws are, or if no draw varies and no exact bound is known: for a metric that is not a
        share of events, or a value inside its range.

    References:
        Clopper and Pearson (1934), *The use of confidence or fiducial limits illustrated in the
        case of the binomial*, Biometrika 26, 404-413, for the bound at 0 or n of n.
    """
    if np.isnan(point):
        return Interval(np.nan, np.nan, "undefined")
    found = percentile_interval(draws, confidence)
    if np.isnan(found.low) or not is_degenerate(point, draws):
        return found
    if not metric.proportion or not (change or _is_end(point)):
        return Interval(np.nan, np.nan, "no variation between patients")
    reach = exact_reach(units, confidence)
    lowest = -1.0 if change else 0.0
    ends = max(point - reach, lowest), min(point + reach, 1.0)
    return Interval(*ends, "exact bound: no resample varies")


def _is_end(share: float) -> bool:
    """Whether a share is none or all, up to the rounding of weighted sums."""
    return min(abs(share), abs(1 - share)) < 1e-12


def percentile_interval(draws: Array, confidence: float) -> Interval:
    """The middle share of the draws; none if more than 5 % of them are undefined.

    >>> percentile_interval(np.arange(101.0), 0.5)[:2]
    (25.0, 75.0)
    """
    defined = draws[~np.isnan(draws)]
    if len(defined) == 0 or len(defined) < (1 - UNDEFINED_DRAWS) * len(draws):
        return Interval(np.nan, np.nan, "undefined in too many resamples")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def is_degenerate(point: float, draws: Array) -> bool:
    """Whether no draw differs from the point, up to rounding."""
    return bool(np.nanmax(np.abs(draws - point), initial=0.0) < 1e-12)


def exact_reach(units: int, confidence: float) -> float:
    """How far a proportion of 0 out of ``units`` may lie from 0.

    >>> round(exact_reach(10, 0.95), 4)
    0.3085
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / units)) if units > 0 else 1.0


def simultaneous_reach(point: Array, draws: Array, confidence: float) -> tuple[float, float]:
    r"""How far estimates of several groups stray together.

    Args:
        point: ``[group]``, no NaN.
        draws: ``[draw, group]``; draws with a NaN are left out.
        confidence: In (0, 1).

    Returns:
        The quantiles of :math:`\max_g |d_g|` and of :math:`\max_g d_g - \min_g d_g`, where
        :math:`d_g` is the deviation of a draw from the point. With the first, all groups lie
        within their estimate's reach at once; with the second, so do all their differences. NaN
        if fewer than 95 % of the draws are defined.

    References:
        Tukey (1953), *The problem of multiple comparisons* (the studentized range); Efron and
        Tibshirani (1993), *An introduction to the bootstrap*, section 13 (the bootstrap in
        place of its tables).
    """
    deviation = draws - point
    deviation = deviation[~np.isnan(deviation).any(axis=1)]
    if len(deviation) < (1 - UNDEFINED_DRAWS) * len(draws) or len(deviation) == 0:
        return np.nan, np.nan
    furthest = np.abs(deviation).max(axis=1)
    spread = deviation.max(axis=1) - deviation.min(axis=1)
    return float(np.quantile(furthest, confidence)), float(np.quantile(spread, confidence))

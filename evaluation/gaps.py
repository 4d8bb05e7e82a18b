"""Gap between groups, and the worst group, with intervals that hold for all groups at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluation.intervals import exact_reach, is_degenerate, simultaneous_reach
from evaluation.metric import Array, Metric


class Extremes(NamedTuple):
    """Best and worst of several groups.

    Attributes:
        gap: Largest minus smallest estimate, >= 0.
        gap_low: Lower end of the true gap's interval, >= 0.
        gap_high: Its upper end, at most the range of the metric.
        null_high: A gap up to this is to be expected if all groups are truly alike.
        worst: The worst estimate.
        worst_low: Lower end of the truly worst group's interval.
        worst_high: Its upper end.
        worst_index: Which group has the worst estimate.
        best_index: Which group has the best.
    """

    gap: float
    gap_low: float
    gap_high: float
    null_high: float
    worst: float
    worst_low: float
    worst_high: float
    worst_index: int
    best_index: int


def extremes(
    metric: Metric, point: Array, draws: Array, units: Sequence[int], confidence: float
) -> Extremes:
    r"""Gap and worst group of a metric.

    The largest of several noisy differences is biased upwards, and its percentile interval can
    never hold 0. So the interval here is simultaneous: if :math:`q` bounds how far *all*
    differences stray together, the true gap lies in :math:`[\hat\Delta - q, \hat\Delta + q]`,
    cut at 0 and 1, and a gap below :math:`q` is compatible with no gap at all. The worst
    group's interval is built likewise from the largest deviation.

    Args:
        metric: Says which direction is better.
        point: ``[group]``, at least two, no NaN.
        draws: ``[draw, group]``.
        units: Patients that each group's estimate rests on, ``[group]``.
        confidence: In (0, 1).

    Returns:
        The extremes; interval ends are NaN if the draws do not support any.
    """
    furthest, spread = simultaneous_reach(point, draws, confidence)
    # A group without any variation in the draws (all right, say) is uncertain all the same.
    blind = [
        exact_reach(n, confidence)
        for n, estimate, drawn in zip(units, point, draws.T, strict=True)
        if is_degenerate(float(estimate), drawn)
    ]
    furthest += max(blind, default=0.0)
    spread += sum(sorted(blind)[-2:])
    good = metric.goodness(point)
    worst, best = int(np.argmin(good)), int(np.argmax(good))
    gap = float(np.ptp(point))
    return Extremes(
        gap=gap,
        gap_low=max(gap - spread, 0.0),
        gap_high=min(gap + spread, metric.highest - metric.lowest),
        null_high=min(spread, metric.highest - metric.lowest),
        worst=float(point[worst]),
        worst_low=max(float(point[worst]) - furthest, metric.lowest),
        worst_high=min(float(point[worst]) + furthest, metric.highest),
        worst_index=worst,
        best_index=best,
    )

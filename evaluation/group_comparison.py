"""Extremes, differences and ratios of groups, with intervals that hold for all at once."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from evaluation.fairness import ratio_extremes
from evaluation.gaps import extremes
from evaluation.intervals import UNDEFINED_DRAWS, exact_reach, is_degenerate, simultaneous_reach
from evaluation.metric import Array, Metric

Method = Literal["between_groups", "to_overall"]


class Side(NamedTuple):
    """The groups that have a value, and all samples together, in one metric.

    Attributes:
        metric: What was computed.
        point: ``[group]``, no NaN.
        draws: ``[draw, group]``, NaN where a draw left it undefined.
        units: ``[group]`` patients that each value rests on.
        overall: Of all samples; may be NaN.
        overall_draws: ``[draw]``.
    """

    metric: Metric
    point: Array
    draws: Array
    units: Sequence[int]
    overall: float
    overall_draws: Array


class Compared(NamedTuple):
    """What a comparison came to.

    Attributes:
        value: NaN if there was nothing to compare.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end.
    """

    value: float
    low: float
    high: float


_NOTHING = Compared(np.nan, np.nan, np.nan)


def extreme(side: Side, which: Literal["min", "max"], confidence: float) -> Compared:
    """The smallest or largest value of the groups; NaN if there is no group."""
    if len(side.point) == 0:
        return _NOTHING
    value = float(side.point.min() if which == "min" else side.point.max())
    reach, _ = simultaneous_reach(side.point, side.draws, confidence)
    reach += float(_blind(side, confidence).max())
    # In this order NaN stays NaN.
    low, high = max(value - reach, side.metric.lowest), min(value + reach, side.metric.highest)
    return Compared(value, low, high)


def difference(side: Side, method: Method, confidence: float) -> Compared:
    """Largest difference between two groups, or of a group from all samples.

    Returns:
        A value >= 0, with its simultaneous interval, cut at 0. NaN with fewer than two groups.
    """
    if len(side.point) < 2:
        return _NOTHING
    if method == "between_groups":
        found = extremes(side.metric, side.point, side.draws, side.units, confidence)
        return Compared(found.gap, found.gap_low, found.gap_high)
    reach = _reach(side.point, side.draws, side.overall, side.overall_draws, confidence)
    value = float(np.abs(side.point - side.overall).max())
    reach += float(_blind(side, confidence).max())
    widest = side.metric.highest - side.metric.lowest
    return Compared(value, max(value - reach, 0.0), min(value + reach, widest))


def ratio(side: Side, method: Method, confidence: float) -> Compared:
    """Smallest ratio of two groups, or of a group and all samples, whichever way it is below 1.

    Returns:
        A value in (0, 1], with its simultaneous interval on the log scale, cut at 1. NaN with
        fewer than two groups, or where one is 0 or less: no ratio has a scale then.
    """
    if len(side.point) < 2:
        return _NOTHING
    if method == "between_groups":
        units = side.units if side.metric.proportion else None
        return Compared(*ratio_extremes(side.point, side.draws, confidence, units)[:3])
    if side.point.min() <= 0 or not side.overall > 0:
        return _NOTHING
    with np.errstate(divide="ignore"):
        logs = [np.log(np.maximum(each, 0)) for each in side[1:3]]
        overall, overall_draws = (np.log(np.maximum(each, 0)) for each in side[4:])
        blind = logs[0] - np.log(np.maximum(side.point - _blind(side, confidence), 0))
    reach = _reach(logs[0], logs[1], float(overall), overall_draws, confidence) + blind.max()
    value, change = np.exp(-np.abs(logs[0] - overall).max()), np.exp(-reach)
    return Compared(float(value), float(value * change), _at_most_one(value, change))


def _at_most_one(value: float, change: float) -> float:
    return float(value / change) if value < change else 1.0 if change <= value else np.nan


def _reach(
    point: Array, draws: Array, overall: float, overall_draws: Array, confidence: float
) -> float:
    """How far the distances of all groups from all samples stray together; NaN if unknown."""
    with np.errstate(invalid="ignore"):
        deviation = np.abs((draws - overall_draws[:, None]) - (point - overall))
    defined = ~np.isnan(deviation).any(axis=1)
    if not defined.any() or defined.mean() < 1 - UNDEFINED_DRAWS:
        return float("nan")
    # Between a number and infinity there is nothing to interpolate.
    return float(np.quantile(deviation[defined].max(axis=1), confidence, method="higher"))


def _blind(side: Side, confidence: float) -> Array:
    """How far each group may be off although no draw varies, ``[group]``."""
    unseen = [
        is_degenerate(float(point), drawn)
        for point, drawn in zip(side.point, side.draws.T, strict=True)
    ]
    reaches = [exact_reach(units, confidence) for units in side.units]
    return np.where(unseen, reaches, 0.0)

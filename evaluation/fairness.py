"""The named fairness criteria, as differences and ratios between groups."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from evaluation.bootstrap import Cube
from evaluation.criteria import CRITERIA
from evaluation.groups import Group
from evaluation.intervals import UNDEFINED_DRAWS, exact_reach, is_degenerate
from evaluation.metric import Array
from evaluation.settings import Number, Settings
from evaluation.target import MACRO

_TOO_FEW_DRAWS = "undefined in too many resamples"


class Criterion(Settings):
    """One fairness criterion over the groups of one or several crossed attributes.

    Attributes:
        name: One of :data:`evaluation.criteria.CRITERIA`.
        target: Name of the target.
        attributes: What the groups are made of.
        difference: Highest minus lowest rate, >= 0; of equalised odds the larger of the two
            differences. NaN with fewer than two groups of enough evidence.
        low: Lower end of the true difference's simultaneous interval; 0 if all groups may be
            alike.
        high: Upper end.
        null_high: A difference up to this is to be expected if all groups are truly alike.
        ratio: Lowest over highest rate, in [0, 1]; of equalised odds the smaller of the two.
            NaN if a rate is 0.
        ratio_low: Lower end of the true ratio's simultaneous interval.
        ratio_high: Upper end; 1 if all groups may be alike.
        worst: Group with the worse rate of the (larger) difference. A higher selection rate
            is taken for better, as of the metric.
        best: Group with the better one.
        unranked: Groups without enough evidence in one of the metrics.
        reason: Why there is no difference, interval or ratio, else empty.
    """

    name: str
    target: str = ""
    attributes: tuple[str, ...]
    difference: Number
    low: Number
    high: Number
    null_high: Number
    ratio: Number
    ratio_low: Number
    ratio_high: Number
    worst: str
    best: str
    unranked: tuple[str, ...]
    reason: str = ""


class Ratio(NamedTuple):
    """Lowest over highest of several positive numbers.

    Attributes:
        value: In [0, 1]; NaN if there is none.
        low: Lower end of the true ratio's interval; NaN if there is none.
        high: Upper end.
        reason: Why there is no ratio or interval, else empty.
    """

    value: float
    low: float
    high: float
    reason: str = ""


def criteria(
    cube: Cube, groups: Sequence[Group], usable: Array, units: Array, confidence: float
) -> tuple[Criterion, ...]:
    r"""The named criteria by each attribute and crossing, from one set of draws.

    The interval of a difference is simultaneous, as that of any gap: if :math:`q` bounds how
    far all differences between groups stray together, the true one lies in
    :math:`[\hat\Delta - q, \hat\Delta + q]`. For equalised odds one :math:`q` bounds the
    differences in both rates. Ratios are treated alike on the log scale.

    Args:
        cube: A criterion exists for each target whose metrics the cube holds.
        groups: ``[group]`` of the cube.
        usable: ``[group, measure]`` bool, whether the evidence is enough to rank the group.
        units: ``[group, measure]`` patients that each estimate rests on.
        confidence: Of the two-sided intervals, in (0, 1).

    Returns:
        One finding for each target, family of attributes and criterion.

    References:
        Hardt, Price and Srebro (2016), *Equality of opportunity in supervised learning*,
        NeurIPS 29, definitions 2.1 and 2.2; Chouldechova (2017), *Fair prediction with
        disparate impact*, Big Data 5, 153-163 (predictive parity); Corbett-Davies, Pierson,
        Feller, Goel and Huq (2017), *Algorithmic decision making and the cost of fairness*,
        KDD 23, 797-806 (demographic parity, predictive equality).
    """
    columns = {(m.target, m.metric.name): k for k, m in enumerate(cube.measures)}
    targets = dict.fromkeys(m.target for m in cube.measures if m.target != MACRO)
    families = dict.fromkeys(group.attributes for group in groups if group.attributes)
    found = []
    for target in targets:
        for attributes in families:
            family = [g for g, group in enumerate(groups) if group.attributes == attributes]
            for name, metrics in CRITERIA.items():
                if any((target, metric) not in columns for metric in metrics):
                    continue
                sides = [
                    _side(cube, family, columns[target, metric], usable, units)
                    for metric in metrics
                ]
                named = {"name": name, "target": target, "attributes": attributes}
                found.append(_criterion(named, groups, family, sides, confidence))
    return tuple(found)


def ratio_extremes(
    point: Array, draws: Array, confidence: float, units: Sequence[int] | None = None
) -> Ratio:
    """Lowest over highest of several groups, with an interval that holds for all at once.

    Args:
        point: ``[group]``, at least two, no NaN.
        draws: ``[draw, group]``, NaN where undefined; what is below 0 counts as 0.
        confidence: Of the two-sided interval, in (0, 1).
        units: ``[group]`` patients that each share of events rests on, to widen groups that no
            draw varies by the exact bound; None if the numbers are no shares.

    Returns:
        The ratio. NaN with the reason if a group's number is 0 or less, for which no ratio has
        a scale; without interval if more than 5 % of the draws are undefined.

    >>> ratio_extremes(np.array([0.2, 0.4]), np.array([[0.2, 0.4]]), 0.95).value
    0.5
    """
    side = _Side(np.arange(len(point)), point, draws, None if units is None else units, 1)
    return _smallest_ratio([side], confidence)


class _Side(NamedTuple):
    """A rate of the groups that can be ranked by it; units are None if it is no share."""

    ranked: Array
    point: Array
    draws: Array
    units: Sequence[int] | None
    sign: int

    def blind(self, confidence: float) -> Array:
        """How far a group without any variation in the draws may be off all the same."""
        reach = np.zeros(len(self.point))
        for g, point in enumerate(self.point if self.units is not None else ()):
            if self.units is not None and is_degenerate(float(point), self.draws[:, g]):
                reach[g] = exact_reach(int(self.units[g]), confidence)
        return reach


def _side(cube: Cube, family: Sequence[int], column: int, usable: Array, units: Array) -> _Side:
    ranked = np.array([g for g in family if usable[g, column]], int)
    sign = 1 if cube.measures[column].metric.better == "higher" else -1
    point, draws = cube.point[ranked, column], cube.draws[:, ranked, column]
    return _Side(ranked, point, draws, units[ranked, column], sign)


def _criterion(
    named: dict[str, Any],
    groups: Sequence[Group],
    family: Sequence[int],
    sides: Sequence[_Side],
    confidence: float,
) -> Criterion:
    named["unranked"] = tuple(
        groups[g].name for g in family if any(g not in side.ranked for side in sides)
    )
    if any(len(side.ranked) < 2 for side in sides):
        return Criterion(**named, **_NOTHING)
    differences = [float(np.ptp(side.point)) for side in sides]
    difference, side = max(differences), sides[int(np.argmax(differences))]
    blind = [each.blind(confidence) for each in sides]
    reach = _joint_spread([(s.point, s.draws) for s in sides], blind, confidence)
    ratio = _smallest_ratio(sides, confidence)
    return Criterion(
        **named,
        difference=difference,
        low=max(difference - reach, 0.0),
        high=min(difference + reach, 1.0),
        null_high=min(reach, 1.0),
        ratio=ratio.value,
        ratio_low=ratio.low,
        ratio_high=ratio.high,
        worst=groups[side.ranked[int(np.argmin(side.sign * side.point))]].name,
        best=groups[side.ranked[int(np.argmax(side.sign * side.point))]].name,
        reason=_TOO_FEW_DRAWS if np.isnan(reach) else ratio.reason,
    )


_NUMBERS = ("difference", "low", "high", "null_high", "ratio", "ratio_low", "ratio_high")
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(_NUMBERS, float("nan")),
    "worst": "",
    "best": "",
    "reason": "fewer than two groups have enough evidence",
}


def _smallest_ratio(sides: Sequence[_Side], confidence: float) -> Ratio:
    """The smallest of the sides' ratios, its interval on the log scale."""
    lowest = min(float(side.point.min()) for side in sides)
    if lowest <= 0:
        sign = "0" if lowest == 0 else "negative"
        return Ratio(np.nan, np.nan, np.nan, f"no ratio: the lowest value is {sign}")
    value = min(float(side.point.min() / side.point.max()) for side in sides)
    with np.errstate(divide="ignore"):
        logs = [(np.log(side.point), np.log(np.maximum(side.draws, 0))) for side in sides]
        blind = [_log_blind(side.point, side.blind(confidence)) for side in sides]
    reach = _joint_spread(logs, blind, confidence)
    if np.isnan(reach):
        return Ratio(value, np.nan, np.nan, _TOO_FEW_DRAWS)
    # A reach without end would overflow; e^-700 is 0 for all purposes.
    change = float(np.exp(-min(reach, 700.0)))
    return Ratio(value, value * change, min(value / change, 1.0))


def _log_blind(point: Array, reach: Array) -> Array:
    """The reach of a number on the log scale; infinite where it reaches 0."""
    down = np.log(point) - np.log(np.maximum(point - reach, 0))
    wider: Array = np.maximum(down, np.log1p(reach / point))
    return wider


def _joint_spread(
    sides: Sequence[tuple[Array, Array]], blind: Sequence[Array], confidence: float
) -> float:
    """How far all differences between groups stray together, in all sides at once.

    Args:
        sides: Point ``[group]`` and draws ``[draw, group]`` of each rate; a draw may be minus
            infinite.
        blind: ``[group]`` of each side, how far a group may be off that no draw shows.
        confidence: In (0, 1).

    Returns:
        The quantile of the largest spread; NaN if fewer than 95 % of the draws are defined.
    """
    undefined = np.any([np.isnan(draws).any(axis=1) for _, draws in sides], axis=0)
    if undefined.all() or undefined.mean() > UNDEFINED_DRAWS:
        return float("nan")
    spreads = []
    for point, draws in sides:
        deviation = draws[~undefined] - point
        highest, lowest = deviation.max(axis=1), deviation.min(axis=1)
        endless = np.isinf(lowest)
        spreads.append(np.where(endless, np.inf, highest - np.where(endless, 0, lowest)))
    largest = np.max(spreads, axis=0)
    # Between a number and infinity there is nothing to interpolate.
    method: Literal["higher", "linear"] = "higher" if np.isinf(largest).any() else "linear"
    unseen = max(float(np.sort(each)[-2:].sum()) for each in blind)
    return float(np.quantile(largest, confidence, method=method)) + unseen

"""Under- and over-diagnosis: who is told to be healthy and is not, and the reverse."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from evaluation.bootstrap import Resampling
from evaluation.groups import Group
from evaluation.intervals import Interval, interval, is_degenerate, percentile_interval
from evaluation.metric import METRICS, REASONS, Array, Metric, by_score, ratio
from evaluation.settings import Number, Settings
from evaluation.tally import Tally
from evaluation.target import Target

Kind = Literal["under", "over"]
State = Literal["adequate", "insufficient", "undefined"]

CAVEAT = (
    "A higher underdiagnosis rate in a group does not show by itself that the model is unfair "
    "to it. One threshold for all groups cuts their scores at different places where disease "
    "is more or less common, or milder or graver, in one of them; and a test set that was "
    "split off at random repeats whatever was wrong in the collection and the labels of the "
    "data. So read the rate beside its companions. If groups also differ at a common rate of "
    "the opposite error, the model tells sick from healthy less well in one of them. If they "
    "differ only at the common threshold, the threshold is what is shifted. Neither can tell "
    "labels that are wrong more often in one group from errors of the model."
)
"""What an under- or over-diagnosis rate does not show; stands beside every table of them.

After Bernhardt, Jones and Glocker (2022), *Potential sources of dataset bias complicate
investigation of underdiagnosis by machine learning algorithms*, Nature Medicine 28, 1157-1158.
"""


class Diagnosis(Settings):
    """Under- or over-diagnosis of one group.

    Attributes:
        target: Name of the target.
        group: Name of the group.
        kind: ``under``: share of the sick who are called healthy. ``over``: share of the
            healthy who are called sick.
        rate: The share, in [0, 1]; NaN where undefined.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end.
        standardised: Share of those called healthy who are sick (``under``), or of those
            called sick who are healthy (``over``), if the group had as many sick as all
            samples have.
        standardised_low: Lower end of its interval; NaN too where no draw varies.
        standardised_high: Upper end.
        at_common_rate: The rate with a threshold of the group's own, at which its rate of the
            other kind is that of all samples.
        at_common_rate_low: Lower end of its interval.
        at_common_rate_high: Upper end.
        units: Patients that the rate rests on: the sick ones for ``under``.
        state: ``undefined`` (no value or no interval), ``insufficient`` (too few units) or
            ``adequate``.
        reason: Why it is undefined or insufficient, or what is special about the interval.
    """

    target: str = ""
    group: str
    kind: Kind
    rate: Number
    low: Number
    high: Number
    standardised: Number
    standardised_low: Number
    standardised_high: Number
    at_common_rate: Number
    at_common_rate_low: Number
    at_common_rate_high: Number
    units: int
    state: State
    reason: str = ""


def diagnoses(
    target: Target,
    healthy: bool,
    groups: Sequence[Group],
    resampling: Resampling,
    minimum_patients: int,
) -> tuple[Diagnosis, ...]:
    """Under- and over-diagnosis of a target in each group, with their companions.

    Args:
        target: A question with two answers.
        healthy: Whether label 1 means healthy, as of ``no finding``; else it means diseased.
        groups: Empty groups are allowed and give NaN.
        resampling: Patients and weights of the samples.
        minimum_patients: With fewer units a rate is insufficient.

    Returns:
        Two findings for each group. What is common (share of the sick, rate of the other kind)
        is taken over all samples, anew in each draw. The rate at a common rate is read off the
        ROC curve, straight between its points. Cost: about ``10 * draws * n * depth``
        operations, where ``depth`` is the number of groups that a sample is in.

    Raises:
        ValueError: The target has more than two classes.

    References:
        Seyyed-Kalantari, Zhang, McDermott, Chen and Ghassemi (2021), *Underdiagnosis bias of
        artificial intelligence algorithms applied to chest radiographs in under-served patient
        populations*, Nature Medicine 27, 2176-2182. Bernhardt, Jones and Glocker (2022), see
        :data:`CAVEAT`.
    """
    if target.classes != 2:
        raise ValueError(f"diagnosis needs two classes, got {target.classes}.")
    called = _Called(target, healthy, groups)
    ordered = [_ordered(target, healthy, group.rows) for group in groups]
    point = _shares(called, ordered, resampling.weight[None])
    blocks = [_shares(called, ordered, weight) for weight in resampling.weights()]
    drawn = np.concatenate([point[:0], *blocks])
    return tuple(
        finding
        for g, group in enumerate(groups)
        for finding in _findings(
            target, healthy, group, point[0, g], drawn[:, g], resampling, minimum_patients
        )
    )


_KINDS: tuple[Kind, ...] = ("under", "over")


class _Called:
    """Who is sick and who is called sick, in all samples and in each group."""

    def __init__(self, target: Target, healthy: bool, groups: Sequence[Group]) -> None:
        everyone = Group((), (), np.arange(len(target.label)))
        disease = 0 if healthy else 1
        cell = 2 * (target.label == disease) + (target.decision == disease)
        self._tally = Tally([everyone, *groups], target.known, cell, 4)

    def __call__(self, weight: Array) -> tuple[Array, Array, Array]:
        """Share of sick, wrongly cleared and wrongly called, ``[1 + group, draw]`` each."""
        cleared, called, missed, found = np.moveaxis(self._tally(weight), (-1, 1), (0, 1))
        sick, healthy = missed + found, cleared + called
        return ratio(sick, sick + healthy), ratio(missed, sick), ratio(called, healthy)


class _Ordered(NamedTuple):
    """Samples whose truth is known, from the lowest risk of disease to the highest."""

    rows: Array
    sick: Array
    risk: Array


def _ordered(target: Target, healthy: bool, rows: Array) -> _Ordered:
    rows = rows[target.known[rows]]
    risk = -target.score[rows] if healthy else target.score[rows]
    order = np.argsort(risk, kind="stable")
    sick = target.label[rows[order]] == (0 if healthy else 1)
    return _Ordered(rows[order], sick, risk[order])


def _shares(called: _Called, ordered: Sequence[_Ordered], weight: Array) -> Array:
    """``[draw, group, kind, 3]``: rate, standardised, at the common rate of the other kind."""
    sick, under, over = called(weight)
    found = np.empty((len(weight), len(ordered), 2, 3))
    for g, cases in enumerate(ordered, start=1):
        shares = found[:, g - 1]
        shares[:, :, 0] = np.stack([under[g], over[g]], axis=-1)
        shares[:, 0, 1] = _among_called(under[g], over[g], sick[0])
        shares[:, 1, 1] = _among_called(over[g], under[g], 1 - sick[0])
        shares[:, :, 2] = _at_common(cases, weight[:, cases.rows], under[0], over[0])
    return found


def _among_called(error: Array, other: Array, share: Array) -> Array:
    """Share of the wrongly called among all called alike, by Bayes' rule.

    Args:
        error: Rate of these wrong calls, among those who can suffer them.
        other: Rate of the opposite wrong calls.
        share: Of those who can suffer them, among all.
    """
    wrong = error * share
    return ratio(wrong, wrong + (1 - other) * (1 - share))


def _at_common(cases: _Ordered, weight: Array, under: Array, over: Array) -> Array:
    """Both rates ``[draw, 2]``, each where the other one is the common one."""
    if len(cases.rows) == 0:
        return np.full((len(weight), 2), np.nan)
    sick, healthy = by_score(cases.sick, cases.risk, weight)
    missed, cleared = _from_zero(sick), _from_zero(healthy)
    # Where the common rate is met at several thresholds, the best of them counts.
    at_over = _read(cleared, missed, 1 - over, "left")
    at_under = _read(missed, cleared, under, "right")
    return np.stack([at_over, 1 - at_under], axis=-1)


def _from_zero(steps: Array) -> Array:
    """Cumulative sums with a leading 0, ``[draw, 1 + step]``."""
    sums = np.zeros((len(steps), steps.shape[-1] + 1))
    steps.cumsum(axis=-1, out=sums[:, 1:])
    return sums


def _read(x: Array, y: Array, share: Array, side: Literal["left", "right"]) -> Array:
    """Share of ``y`` where that of ``x`` is given, straight between the points.

    Args:
        x: ``[draw, point]`` not decreasing, from 0.
        y: ``[draw, point]`` likewise.
        share: ``[draw]`` of the last ``x``.
        side: Which point counts where ``x`` stands still, the first or the last.

    Returns:
        ``[draw]`` in [0, 1]; NaN where x or y stay 0, or there is no share.
    """
    wanted = share * x[:, -1]
    # Rounding must not carry the wanted value past the point that it was counted at.
    nudged = wanted * (1 - 1e-12 if side == "left" else 1 + 1e-12)
    place = np.array(
        [np.searchsorted(*each, side=side) for each in zip(x, nudged, strict=True)]
    )
    draw, last = np.arange(len(x)), x.shape[-1] - 1
    lower, upper = np.maximum(place - 1, 0), np.minimum(place, last)
    step = x[draw, upper] - x[draw, lower]
    partly = np.clip(np.where(step > 0, ratio(wanted - x[draw, lower], step), 0.0), 0, 1)
    reached = y[draw, lower] + partly * (y[draw, upper] - y[draw, lower])
    return np.where((x[:, -1] > 0) & ~np.isnan(share), ratio(reached, y[:, -1]), np.nan)


def _findings(
    target: Target,
    healthy: bool,
    group: Group,
    point: Array,
    drawn: Array,
    resampling: Resampling,
    minimum_patients: int,
) -> list[Diagnosis]:
    """Both kinds in one group, whose shares are ``[kind, 3]``."""
    counted = target.known & (resampling.weight > 0)
    rows = group.rows[counted[group.rows]]
    label, decision = target.label[rows], target.decision[rows]
    metrics = [METRICS.get(name) for name in ("false_negative_rate", "false_positive_rate")]
    metrics = metrics[::-1] if healthy else metrics
    found = []
    for k, (kind, metric) in enumerate(zip(_KINDS, metrics, strict=True)):
        units = metric.units(label, decision, resampling.patient[rows])
        rate, _, at_common = (
            interval(metric, float(point[k, q]), drawn[:, k, q], units, resampling.confidence)
            for q in range(3)
        )
        standardised = _varying(point[k, 1], drawn[:, k, 1], resampling.confidence)
        state, reason = _state(metric, point[k, 0], rate, units, minimum_patients)
        found.append(
            Diagnosis(
                target=target.name,
                group=group.name,
                kind=kind,
                rate=point[k, 0],
                low=rate.low,
                high=rate.high,
                standardised=point[k, 1],
                standardised_low=standardised.low,
                standardised_high=standardised.high,
                at_common_rate=point[k, 2],
                at_common_rate_low=at_common.low,
                at_common_rate_high=at_common.high,
                units=units,
                state=state,
                reason=reason,
            )
        )
    return found


def _varying(point: float, drawn: Array, confidence: float) -> Interval:
    """Percentile interval; none where no draw varies, for which there is no exact bound."""
    if np.isnan(point) or is_degenerate(point, drawn):
        return Interval(np.nan, np.nan)
    return percentile_interval(drawn, confidence)


def _state(
    metric: Metric, rate: float, found: Interval, units: int, minimum_patients: int
) -> tuple[State, str]:
    if np.isnan(rate):
        return "undefined", REASONS[metric.needs]
    if np.isnan(found.low):
        return "undefined", found.reason
    if units < minimum_patients:
        return "insufficient", f"rests on {units} patients"
    return "adequate", found.reason

"""Difference of every group from the reference group of its attributes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.bootstrap import Cube
from evaluation.groups import Group
from evaluation.intervals import percentile_interval
from evaluation.metric import Array
from evaluation.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bootstrap_p,
    detectable,
    max_t,
    standard_error,
)
from evaluation.settings import Number, Settings
from evaluation.target import MACRO, Measure


class Difference(Settings):
    """How far a group is from the reference group of its attributes, in one metric.

    Attributes:
        target: Name of the target, empty for a binary task.
        metric: Name of the metric.
        attributes: What the groups are made of.
        group: Name of the group.
        reference: Name of the reference group.
        value: The group's value minus that of the reference; NaN if one is undefined or rests
            on too little evidence.
        low: Lower end of its own percentile interval, NaN if there is none.
        high: Upper end.
        band_low: Lower end of its max-T band, which holds for the whole family at once; NaN
            outside of the family.
        band_high: Upper end.
        p: Two-sided p value of no difference, by itself.
        p_family: Adjusted for the whole family (max-T, step-down); NaN outside of it.
        q_bh: Adjusted for the whole exploration (Benjamini-Hochberg); NaN in the family.
        q_by: The same whatever the dependence (Benjamini-Yekutieli).
        detectable: Smallest true difference that a single test would find in 80 % of samples
            like this one.
        family: Whether it was declared before looking; all others are exploration.
        reason: Why there is no value or no interval, else empty.
    """

    target: str
    metric: str
    attributes: tuple[str, ...]
    group: str
    reference: str
    value: Number
    low: Number
    high: Number
    band_low: Number
    band_high: Number
    p: Number
    p_family: Number
    q_bh: Number
    q_by: Number
    detectable: Number
    family: bool
    reason: str = ""


class _Contrast(NamedTuple):
    """A group and its reference in one measure, as places in the cube."""

    group: int
    reference: int
    measure: int


def differences(
    cube: Cube,
    groups: Sequence[Group],
    reference: Mapping[tuple[str, ...], str],
    usable: Array,
    primary: Collection[str],
    confidence: float,
) -> tuple[Difference, ...]:
    """Every group minus the reference group of its attributes, in every measure.

    The family was declared before looking: the differences of single attributes in the primary
    metrics, over all targets but not their mean. Its bands and p values hold for all of it at
    once. All the rest is exploration, where only the share of false findings is bounded.

    Args:
        cube: Values and draws ``[..., group, measure]``.
        groups: As of the cube.
        reference: Name of the reference group for each set of crossed attributes. Attributes
            that it does not name have no differences.
        usable: ``[group, measure]``, whether there is evidence enough for a statement.
        primary: Names of the metrics in the family.
        confidence: In (0, 1); of every interval, and of all bands together.

    Returns:
        By group, then measure. Without a value, with the reason, where the group or its
        reference is not usable; without an interval and p value where one of them does not vary
        between draws: the bootstrap takes a group without any error for certain, and a test
        against it would find differences that are none. No p value of B draws is below
        1 / (B + 1); if k of N explored differences reach it, their ``q_bh`` is N / (k (B + 1)).

    Raises:
        ValueError: A reference is not the name of a group of its attributes.
    """
    contrasts = list(_contrasts(groups, reference, len(cube.measures)))
    if not contrasts:
        return ()
    g, r, m = np.array(contrasts).T
    draws = cube.draws[:, g, m] - cube.draws[:, r, m]
    value = np.where(usable[g, m] & usable[r, m], cube.point[g, m] - cube.point[r, m], np.nan)
    intervals = [percentile_interval(drawn, confidence) for drawn in draws.T]
    certain = standard_error(cube.draws) == 0
    reasons = [
        _reason(usable[:, each.measure], certain[:, each.measure], each, value[k])
        or intervals[k].reason
        for k, each in enumerate(contrasts)
    ]
    tested = np.array([not reason for reason in reasons])
    family = np.array(
        [_in_family(cube.measures[k], groups[i], primary) for i, _, k in contrasts]
    )
    numbers = _tests(np.where(tested, value, np.nan), draws, family, confidence)
    return tuple(
        Difference(
            target=cube.measures[each.measure].target,
            metric=cube.measures[each.measure].metric.name,
            attributes=groups[each.group].attributes,
            group=groups[each.group].name,
            reference=groups[each.reference].name,
            value=value[k],
            low=intervals[k].low if tested[k] else np.nan,
            high=intervals[k].high if tested[k] else np.nan,
            **{name: column[k] for name, column in numbers.items()},
            family=family[k],
            reason=reasons[k],
        )
        for k, each in enumerate(contrasts)
    )


def _contrasts(
    groups: Sequence[Group], reference: Mapping[tuple[str, ...], str], measures: int
) -> Iterator[_Contrast]:
    place = {(group.attributes, group.name): i for i, group in enumerate(groups)}
    for attributes, name in reference.items():
        if (attributes, name) not in place:
            crossed = " and ".join(attributes)
            raise ValueError(f"the reference '{name}' is not a group of {crossed}.")
    for i, group in enumerate(groups):
        against = reference.get(group.attributes)
        if against not in (None, group.name):
            for measure in range(measures):
                yield _Contrast(i, place[group.attributes, against], measure)


def _in_family(measure: Measure, group: Group, primary: Collection[str]) -> bool:
    declared = measure.metric.name in primary and measure.target != MACRO
    return declared and len(group.attributes) == 1


def _reason(usable: Array, certain: Array, contrast: _Contrast, value: float) -> str:
    """Why there is no test, from what holds of each group ``[group]`` in the measure."""
    sides = (("the group", contrast.group), ("the reference", contrast.reference))
    for name, group in sides:
        if not usable[group]:
            return f"{name} has too little evidence"
    if np.isnan(value):
        return "undefined"
    for name, group in sides:
        if certain[group]:
            return f"no resample of {name} varies, so that no bootstrap test can be trusted"
    return ""


def _tests(value: Array, draws: Array, family: Array, confidence: float) -> dict[str, Array]:
    """Everything that is not about one difference alone; NaN where the value is."""
    band = np.full((len(value), 2), np.nan)
    adjusted = np.full(len(value), np.nan)
    _, band[family], adjusted[family] = max_t(value[family], draws[:, family], confidence)
    p = bootstrap_p(value, draws)
    explored = np.where(family, np.nan, p)
    error = np.where(np.isnan(value), np.nan, standard_error(draws))
    return {
        "band_low": band[:, 0],
        "band_high": band[:, 1],
        "p": p,
        "p_family": adjusted,
        "q_bh": benjamini_hochberg(explored),
        "q_by": benjamini_yekutieli(explored),
        "detectable": detectable(error, confidence),
    }

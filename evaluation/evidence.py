"""What an audit knows: the draws, and every number with an interval that is read off them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from evaluation.bootstrap import Cube, Resampling, bootstrap, count_units
from evaluation.compare import Champion, Comparison, compare
from evaluation.fairness import Criterion, criteria, ratio_extremes
from evaluation.findings import Change, Estimate, Gap, GroupSize, LevellingDown, State
from evaluation.gaps import extremes
from evaluation.groups import Group
from evaluation.intervals import Interval, interval, percentile_interval
from evaluation.metric import METRICS, REASONS, Array
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec
from evaluation.spread import between_group_spread
from evaluation.target import MACRO, Measure, Target

_NAN = float("nan")


@dataclass(frozen=True)
class AuditEvidence:
    """The bootstrap cube with its groups and counts.

    Attributes:
        spec: Of the audit.
        targets: What the model answers about the ``[n]`` audited samples.
        groups: ``[group]``; their rows index into ``[n]``.
        resampling: Of the samples.
        cube: The draws.
        units: ``[group, measure]`` patients that each measure rests on.
        comparison: With the champion, if there is one.
    """

    spec: AuditSpec
    targets: Sequence[Target]
    groups: Sequence[Group]
    resampling: Resampling
    cube: Cube
    units: Array
    comparison: Comparison | None

    @classmethod
    def gather(
        cls,
        predictions: Predictions,
        targets: Sequence[Target],
        groups: Sequence[Group],
        resampling: Resampling,
        spec: AuditSpec,
        champion: Champion | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Run the bootstrap; everything else is read off its draws.

        Args:
            predictions: The audited rows, ``[n]``.
            targets: What the model answers about them.
            groups: Their rows index into ``[n]``.
            resampling: Of the samples.
            spec: Of the audit.
            champion: A model to compare with.
            on_progress: Called with the number of draws done.
        """
        metrics = [METRICS.get(name) for name in spec.metrics]
        weight, drawn = resampling.weight, resampling.weights()
        cube = bootstrap(targets, groups, metrics, weight, drawn, on_progress).with_macro()
        units = count_units(
            targets, groups, cube.measures, resampling.patient, resampling.weight
        )
        comparison = (
            compare(predictions, targets, champion, groups, metrics, resampling)
            if champion
            else None
        )
        return cls(spec, targets, groups, resampling, cube, units, comparison)

    def sizes(self) -> tuple[GroupSize, ...]:
        """Size of every group, for each target."""
        return tuple(
            self._size(target, group) for target in self.targets for group in self.groups
        )

    def estimates(self) -> tuple[Estimate, ...]:
        """Every measure in every group."""
        return tuple(
            self.estimate(g, m, self.spec.confidence)
            for m in range(len(self.cube.measures))
            for g in range(len(self.groups))
        )

    def gaps(self) -> tuple[Gap, ...]:
        """Gap and worst group of every measure, by attribute and crossing."""
        return tuple(
            self.gap(attributes, m, self.spec.confidence)
            for m in range(len(self.cube.measures))
            for attributes in self.partitions
        )

    def criteria(self, confidence: float) -> tuple[Criterion, ...]:
        """Fairness criteria by attribute and crossing, where their metrics were computed."""
        return criteria(self.cube, self.groups, self.usable, self.units, confidence)

    def changes(self) -> tuple[Change, ...]:
        """Change of every measure against the champion, overall and by single attribute."""
        if self.comparison is None:
            return ()
        return tuple(
            self.change(g, m, self.spec.confidence)
            for m in range(len(self.cube.measures))
            for g, group in enumerate(self.groups)
            if len(group.attributes) <= 1
        )

    def levelling(self) -> tuple[LevellingDown, ...]:
        """Whether a gap narrowed because a group lost, by single attribute."""
        if self.comparison is None:
            return ()
        return tuple(
            self._levelled(attributes, m)
            for m in range(len(self.cube.measures))
            for attributes in self.partitions
            if len(attributes) == 1
        )

    @property
    def partitions(self) -> list[tuple[str, ...]]:
        """The attributes and crossings that make groups."""
        made = dict.fromkeys(group.attributes for group in self.groups if group.attributes)
        return list(made)

    @cached_property
    def usable(self) -> Array:
        """``[group, measure]``, whether an estimate is ranked."""
        shape = len(self.groups), len(self.cube.measures)
        pairs = np.ndindex(shape)
        ranked = [self.estimate(g, m, self.spec.confidence).ranked for g, m in pairs]
        return np.array(ranked, bool).reshape(shape)

    def estimate(self, g: int, m: int, confidence: float) -> Estimate:
        """One measure in one group."""
        point, units = float(self.cube.point[g, m]), int(self.units[g, m])
        draws, metric = self.cube.draws[:, g, m], self.cube.measures[m].metric
        found = interval(metric, point, draws, units, confidence)
        return Estimate(**self._described(g, m, point, units, found))

    def change(self, g: int, m: int, confidence: float) -> Change:
        """Change of one measure in one group against the champion."""
        assert self.comparison is not None
        points, draws = self.comparison.change(m)
        point, units = float(points[g]), int(self.comparison.units[g, m])
        metric = self.cube.measures[m].metric
        found = interval(metric, point, draws[:, g], units, confidence, change=True)
        described = self._described(g, m, point, units, found)
        conclusion = "undefined"
        if described["state"] in ("adequate", "imprecise"):
            keeps, breaks = found.low > -self.spec.margin, found.high < -self.spec.margin
            conclusion = "non-inferior" if keeps else "inferior" if breaks else "undecided"
        return Change(**described, conclusion=conclusion)

    def gap(self, attributes: tuple[str, ...], m: int, confidence: float) -> Gap:
        """Gap and worst group of one measure."""
        inside = [g for g, group in enumerate(self.groups) if group.attributes == attributes]
        ranked = [g for g in inside if self.usable[g, m]]
        target, metric = self.cube.measures[m]
        unranked = tuple(self.groups[g].name for g in inside if g not in ranked)
        named = {"target": target, "metric": metric.name, "attributes": attributes}
        if len(ranked) < 2:
            by = " and ".join(attributes)
            reason = f"fewer than two groups by {by} have enough evidence"
            return Gap(**named, **_NO_GAP, unranked=unranked, reason=reason)
        point, draws = self.cube.point[ranked, m], self.cube.draws[:, ranked, m]
        e = extremes(metric, point, draws, self.units[ranked, m].tolist(), confidence)
        units = self.units[ranked, m].tolist()
        ratio = ratio_extremes(point, draws, confidence, units)
        spread = between_group_spread(point, draws, confidence)
        return Gap(
            **named,
            value=e.gap,
            low=e.gap_low,
            high=e.gap_high,
            null_high=e.null_high,
            ratio=ratio.value,
            ratio_low=ratio.low,
            ratio_high=ratio.high,
            spread=spread.corrected,
            spread_low=spread.low,
            spread_high=spread.high,
            spread_raw=spread.raw,
            spread_null=spread.null_high,
            best=self.groups[ranked[e.best_index]].name,
            worst=self.groups[ranked[e.worst_index]].name,
            worst_value=e.worst,
            worst_low=e.worst_low,
            worst_high=e.worst_high,
            unranked=unranked,
            reason="undefined in too many resamples" if np.isnan(e.gap_low) else "",
        )

    def _size(self, target: Target, group: Group) -> GroupSize:
        rows = group.rows[target.known[group.rows]]
        return GroupSize(
            target=target.name,
            group=group.name,
            attributes=group.attributes,
            values=group.values,
            patients=len(np.unique(self.resampling.patient[rows])),
            images=len(rows),
            positives=int(target.label[rows].sum()) if target.classes == 2 else None,
        )

    def _described(
        self, g: int, m: int, point: float, units: int, found: Interval
    ) -> dict[str, Any]:
        """The fields of an estimate, with how much it may be trusted."""
        measure, group = self.cube.measures[m], self.groups[g]
        reason = found.reason
        state: State = "imprecise" if found.high - found.low > self.spec.widest else "adequate"
        if np.isnan(point):
            reason = self._absent(measure, group, units)
        elif units < self.spec.minimum_patients:
            state, reason = "insufficient", f"rests on {units} patients"
        if np.isnan([point, found.low, found.high]).any():
            state = "undefined"
        return {
            "target": measure.target,
            "metric": measure.metric.name,
            "group": group.name,
            "value": point,
            "low": found.low,
            "high": found.high,
            "units": units,
            "state": state,
            "reason": reason,
        }

    def _absent(self, measure: Measure, group: Group, units: int) -> str:
        """Why a measure has no value."""
        if units > 0 and measure.target != MACRO:
            return "not defined for these scores and labels"
        named = {target.name: target for target in self.targets}
        if measure.target == MACRO and MACRO not in named:
            return "undefined for one target or more"
        counted = named[measure.target].known & (self.resampling.weight > 0)
        rows = group.rows[counted[group.rows]]
        return REASONS["any"] if len(rows) == 0 else REASONS[measure.metric.needs]

    def _levelled(self, attributes: tuple[str, ...], m: int) -> LevellingDown:
        assert self.comparison is not None
        target, metric = self.cube.measures[m]
        named = {"target": target, "metric": metric.name, "attributes": attributes}
        changes = {
            g: self.change(g, m, self.spec.confidence)
            for g, group in enumerate(self.groups)
            if group.attributes == attributes
        }
        ranked = [g for g, change in changes.items() if change.ranked and self.usable[g, m]]
        lost = tuple(changes[g].group for g in ranked if changes[g].high < 0)
        if len(ranked) < 2:
            reason = "fewer than two groups have enough evidence in both models"
            nothing = {"before": _NAN, "after": _NAN, "low": _NAN, "high": _NAN}
            return LevellingDown(**named, **nothing, lost=lost, levelled=False, reason=reason)
        after, before = (
            np.ptp(cube.point[ranked, m])
            for cube in (self.comparison.ours, self.comparison.theirs)
        )
        drawn_after, drawn_before = (
            np.ptp(cube.draws[:, ranked, m], axis=1)
            for cube in (self.comparison.ours, self.comparison.theirs)
        )
        found = percentile_interval(drawn_after - drawn_before, self.spec.confidence)
        return LevellingDown(
            **named,
            before=float(before),
            after=float(after),
            low=found.low,
            high=found.high,
            lost=lost,
            levelled=bool(found.high < 0 and lost),
            reason=found.reason,
        )


_NO_GAP: dict[str, Any] = dict.fromkeys(
    (
        "value",
        "low",
        "high",
        "null_high",
        "ratio",
        "ratio_low",
        "ratio_high",
        "spread",
        "spread_low",
        "spread_high",
        "spread_raw",
        "spread_null",
        "worst_value",
        "worst_low",
        "worst_high",
    ),
    _NAN,
) | {"best": "", "worst": ""}

"""What an audit knows: the draws, and every number with an interval that is read off them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from evaluation.bootstrap import Cube, bootstrap, count_units
from evaluation.compare import Champion, Comparison, compare
from evaluation.findings import Change, Estimate, Gap, GroupSize, Leakage, State
from evaluation.gaps import extremes
from evaluation.groups import Group
from evaluation.intervals import Interval, interval
from evaluation.metric import METRICS, REASONS, Array, Metric
from evaluation.policy import Bounded, Clause
from evaluation.predictions import Predictions
from evaluation.spec import AuditSpec


@dataclass(frozen=True)
class AuditEvidence:
    """The bootstrap cube with its groups, metrics and counts.

    Attributes:
        spec: Of the audit.
        groups: ``[group]``.
        metrics: ``[metric]``: those of the spec.
        cube: The draws.
        units: ``[group, metric]`` patients that each metric rests on.
        counts: Patients, images and positives, ``[group, 3]``.
        comparison: With the champion, if there is one.
        leakages: What can be read from the embeddings, if there are any.
    """

    spec: AuditSpec
    groups: Sequence[Group]
    metrics: Sequence[Metric]
    cube: Cube
    units: Array
    counts: Array
    comparison: Comparison | None
    leakages: tuple[Leakage, ...] = ()

    @classmethod
    def gather(
        cls,
        test: Predictions,
        threshold: float,
        groups: Sequence[Group],
        spec: AuditSpec,
        leakages: tuple[Leakage, ...] = (),
        champion: Champion | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Run the bootstrap; everything else is read off its draws.

        Args:
            test: The audited rows, ``[n]``.
            threshold: Scores from here on are decided positive.
            groups: Their rows index into ``[n]``.
            spec: Of the audit.
            leakages: What can be read from the embeddings.
            champion: A model to compare with.
            on_progress: Called with draws done and in all.
        """
        metrics = [METRICS.get(name) for name in spec.metrics]
        label = test.table["label"].to_numpy(float)
        score = test.table["score"].to_numpy(float)
        patient = test.table["patient"].to_numpy()
        decision = (score >= threshold).astype(float)
        cube = bootstrap(
            label,
            {"score": score, "decision": decision},
            patient,
            groups,
            metrics,
            spec.draws,
            spec.seed,
            on_progress,
        )
        units = count_units(label, decision, patient, groups, metrics)
        counts = [
            [len(np.unique(patient[g.rows])), len(g.rows), int(label[g.rows].sum())]
            for g in groups
        ]
        comparison = (
            compare(test, threshold, champion, groups, metrics, spec.draws, spec.seed)
            if champion
            else None
        )
        return cls(spec, groups, metrics, cube, units, np.array(counts), comparison, leakages)

    def sizes(self) -> tuple[GroupSize, ...]:
        """Size of every group."""
        return tuple(
            GroupSize(
                group=group.name,
                attributes=group.attributes,
                values=group.values,
                patients=int(patients),
                images=int(images),
                positives=int(positives),
            )
            for group, (patients, images, positives) in zip(
                self.groups, self.counts, strict=True
            )
        )

    def estimates(self, confidence: float) -> tuple[Estimate, ...]:
        """Every metric in every group."""
        return tuple(
            self._estimate(g, m, confidence)
            for g in range(len(self.groups))
            for m in range(len(self.metrics))
        )

    def gaps(self, confidence: float) -> tuple[Gap, ...]:
        """Gap and worst group of every metric, by attribute and crossing."""
        crossings = dict.fromkeys(group.attributes for group in self.groups if group.attributes)
        return tuple(
            self._gap(attributes, m, confidence)
            for attributes in crossings
            for m in range(len(self.metrics))
        )

    def changes(self, confidence: float) -> tuple[Change, ...]:
        """Change of every metric against the champion, overall and by single attribute."""
        if self.comparison is None:
            return ()
        return tuple(
            self._change(g, m, confidence)
            for g, group in enumerate(self.groups)
            if len(group.attributes) <= 1
            for m in range(len(self.metrics))
        )

    def numbers(self, clause: Clause) -> tuple[list[Bounded], str]:
        """The numbers that a clause is about, and why there is none, if so."""
        names = [metric.name for metric in self.metrics]
        if clause.metric and clause.metric not in names:
            return [], f"The audit did not compute {clause.metric}."
        audited = [attribute.name for attribute in self.spec.attributes]
        if clause.attribute and clause.attribute not in audited:
            return [], f"The audit has no attribute {clause.attribute}."
        if clause.quantity != "overall" and not audited:
            return [], "The audit has no attribute."
        if clause.quantity == "leakage":
            found = list(self._leaked(clause))
            return found, "" if found else "There are no embeddings to probe."
        m = names.index(clause.metric)
        if clause.quantity in ("worst group", "gap"):
            chosen = [clause.attribute] if clause.attribute else audited
            return [self._extreme((name,), m, clause) for name in chosen], ""
        if clause.quantity == "change" and self.comparison is None:
            return [], "There is no champion to compare with."
        return [self._single(g, m, clause) for g in self._chosen(clause)], ""

    def _chosen(self, clause: Clause) -> Iterator[int]:
        for g, group in enumerate(self.groups):
            if not group.attributes:
                wanted = clause.quantity in ("overall", "change")
            else:
                named = clause.attribute in (None, *group.attributes)
                wanted = clause.quantity != "overall" and len(group.attributes) == 1 and named
            if wanted:
                yield g

    def _single(self, g: int, m: int, clause: Clause) -> Bounded:
        make = self._change if clause.quantity == "change" else self._estimate
        found = make(g, m, clause.confidence)
        return Bounded(
            found.group, found.value, found.low, found.high, found.ranked, found.reason
        )

    def _extreme(self, attributes: tuple[str, ...], m: int, clause: Clause) -> Bounded:
        gap = self._gap(attributes, m, clause.confidence)
        name = f"by {attributes[0]}"
        if clause.quantity == "gap":
            value, low, high = gap.value, gap.low, gap.high
        else:
            value, low, high = gap.worst_value, gap.worst_low, gap.worst_high
            name = f"{gap.worst}, the worst {name}" if gap.worst else name
        if gap.reason:
            return Bounded(name, value, low, high, False, gap.reason)
        found = Bounded(name, value, low, high, True)
        # A group that cannot be judged may be worse than those that can: it forbids a PASS, not
        # a FAIL.
        if (
            gap.unranked
            and clause.small_groups == "insufficient"
            and clause.decide(found) != "FAIL"
        ):
            reason = f"too little evidence for {', '.join(gap.unranked)}"
            return found._replace(enough=False, reason=reason)
        return found

    def _leaked(self, clause: Clause) -> Iterator[Bounded]:
        for found in self.leakages:
            if found.latent == "content" and clause.attribute in (None, found.attribute):
                ends = found.auroc, found.low, found.high
                yield Bounded(found.attribute, *ends, not found.reason, found.reason)

    def _estimate(self, g: int, m: int, confidence: float) -> Estimate:
        point, units = float(self.cube.point[g, m]), int(self.units[g, m])
        found = interval(self.metrics[m], point, self.cube.draws[:, g, m], units, confidence)
        return Estimate(**self._described(g, m, point, units, found))

    def _change(self, g: int, m: int, confidence: float) -> Change:
        assert self.comparison is not None
        point = float(self.comparison.point[g, m])
        units = int(self.comparison.units[g, m])
        draws = self.comparison.draws[:, g, m]
        found = interval(self.metrics[m], point, draws, units, confidence, change=True)
        return Change(**self._described(g, m, point, units, found))

    def _described(
        self, g: int, m: int, point: float, units: int, found: Interval
    ) -> dict[str, Any]:
        """The fields of an estimate, with how much it may be trusted."""
        metric, group = self.metrics[m], self.groups[g]
        reason = found.reason
        state: State = "imprecise" if found.high - found.low > self.spec.widest else "adequate"
        if np.isnan(point):
            reason = REASONS["any"] if len(group.rows) == 0 else REASONS[metric.needs]
        elif units < self.spec.minimum_patients:
            state, reason = "insufficient", f"rests on {units} patients"
        if np.isnan([point, found.low, found.high]).any():
            state = "undefined"
        return {
            "metric": metric.name,
            "group": group.name,
            "value": point,
            "low": found.low,
            "high": found.high,
            "units": units,
            "state": state,
            "reason": reason,
        }

    def _gap(self, attributes: tuple[str, ...], m: int, confidence: float) -> Gap:
        inside = [g for g, group in enumerate(self.groups) if group.attributes == attributes]
        ranked = [g for g in inside if self._estimate(g, m, self.spec.confidence).ranked]
        unranked = tuple(self.groups[g].name for g in inside if g not in ranked)
        found = {"metric": self.metrics[m].name, "attributes": attributes, "unranked": unranked}
        if len(ranked) < 2:
            nan = float("nan")
            reason = f"fewer than two groups by {' and '.join(attributes)} have enough evidence"
            return Gap(
                **found,
                value=nan,
                low=nan,
                high=nan,
                null_high=nan,
                best="",
                worst="",
                worst_value=nan,
                worst_low=nan,
                worst_high=nan,
                reason=reason,
            )
        e = extremes(
            self.metrics[m],
            self.cube.point[ranked, m],
            self.cube.draws[:, ranked, m],
            self.units[ranked, m].tolist(),
            confidence,
        )
        return Gap(
            **found,
            value=e.gap,
            low=e.gap_low,
            high=e.gap_high,
            null_high=e.null_high,
            best=self.groups[ranked[e.best_index]].name,
            worst=self.groups[ranked[e.worst_index]].name,
            worst_value=e.worst,
            worst_low=e.worst_low,
            worst_high=e.worst_high,
            reason="undefined in too many resamples" if np.isnan(e.gap_low) else "",
        )

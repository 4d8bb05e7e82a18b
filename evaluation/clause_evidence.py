"""What an audit can tell the clauses of a policy."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

import numpy as np

from evaluation.breakdown import Breakdown, breakdown
from evaluation.criteria import CRITERIA
from evaluation.evidence import AuditEvidence
from evaluation.findings import Leakage
from evaluation.metric import METRICS
from evaluation.policy import Bounded, Clause, Policy
from evaluation.stress import StressCell
from evaluation.target import MACRO
from evaluation.threshold import Threshold

#: Which curves of the stress matrix a clause is about.
_SCOPES = {
    "overall": ("overall",),
    "each group": ("worst group",),
    "worst group": ("worst group",),
    "stress": ("overall", "worst group"),
}
_FLATTERED = "The threshold was chosen on the test rows, so this cannot pass."


@dataclass(frozen=True)
class ClauseEvidence:
    """The numbers of an audit, ready to be bounded.

    Attributes:
        evidence: The draws and what is read off them.
        thresholds: Which rows chose them.
        leakages: What can be read from the embeddings, if there are any.
        stress: The stress matrix.
    """

    evidence: AuditEvidence
    thresholds: tuple[Threshold, ...]
    leakages: tuple[Leakage, ...]
    stress: tuple[StressCell, ...]

    def numbers(self, clause: Clause) -> tuple[list[Bounded], str]:
        """The numbers that a clause is about, and why there is none, if so."""
        missing = self._missing(clause)
        found = [] if missing else list(self._found(clause))
        return found, missing or ("" if found else "The audit holds no such number.")

    def breakdowns(self, policy: Policy | None) -> tuple[Breakdown, ...]:
        """Where under stress each clause about a stressed metric begins to fail.

        On the intervals of the stress matrix, whose confidence is the audit's.
        """
        found: list[Breakdown] = []
        for clause in policy.clause if policy else ():
            scopes = _SCOPES.get(clause.quantity, ())
            cells = [
                cell
                for cell in self.stress
                if cell.metric == clause.metric
                and cell.scope in scopes
                and clause.attribute in (None, cell.attribute)
                and clause.target in (None, cell.target)
            ]
            broken = breakdown(cells, partial(self._holds, clause))
            said = {"clause": str(clause)}
            found += [each.model_copy(update=said) for each in broken]
        return tuple(found)

    def _holds(self, clause: Clause, cell: StressCell) -> bool:
        return clause.decide(self._stressed_cell(cell)) != "FAIL"

    def _missing(self, clause: Clause) -> str:
        """Why the audit cannot say anything about the clause."""
        evidence = self.evidence
        audited = [attribute.name for attribute in evidence.spec.attributes]
        if clause.metric and clause.metric not in evidence.spec.metrics:
            return f"The audit did not compute {clause.metric}."
        if clause.attribute and clause.attribute not in audited:
            return _absent("attribute", clause.attribute, audited)
        targets = list(dict.fromkeys(measure.target for measure in evidence.cube.measures))
        if clause.target is not None and clause.target not in targets:
            return _absent("target", clause.target, targets)
        if clause.group is not None:
            of_attribute = (clause.attribute,)
            values = [g.values[0] for g in evidence.groups if g.attributes == of_attribute]
            if clause.group not in values:
                return _absent(f"group of {clause.attribute}", clause.group, values)
        if clause.quantity not in ("overall", "stress") and not audited:
            return "The audit has no attribute."
        if clause.quantity == "leakage" and not self.leakages:
            return "There are no embeddings to probe."
        if clause.quantity == "change" and evidence.comparison is None:
            return "There is no champion to compare with."
        level = evidence.spec.confidence
        if clause.quantity in ("stress", "leakage") and clause.confidence != level:
            asked = f"{100 * clause.confidence:g} %"
            return f"The audit's intervals are of {100 * level:g} % here, not of {asked}."
        return ""

    def _found(self, clause: Clause) -> Iterator[Bounded]:
        if clause.quantity == "leakage":
            yield from self._leaked(clause)
        elif clause.quantity == "stress":
            yield from self._stressed(clause)
        elif clause.quantity in CRITERIA:
            yield from self._criteria(clause)
        elif clause.quantity in ("worst group", "gap", "ratio"):
            for m in self._measures(clause):
                for name in self._attributes(clause):
                    yield self._extreme((name,), m, clause)
        else:
            for m in self._measures(clause):
                for g in self._groups(clause):
                    yield self._single(g, m, clause)

    def _measures(self, clause: Clause) -> Iterator[int]:
        for m, (target, metric) in enumerate(self.evidence.cube.measures):
            wanted = target != MACRO if clause.target is None else target == clause.target
            if wanted and metric.name == clause.metric:
                yield m

    def _attributes(self, clause: Clause) -> list[str]:
        audited = [attribute.name for attribute in self.evidence.spec.attributes]
        return [clause.attribute] if clause.attribute else audited

    def _groups(self, clause: Clause) -> Iterator[int]:
        for g, group in enumerate(self.evidence.groups):
            if not group.attributes:
                wanted = clause.quantity == "overall" or (
                    clause.quantity == "change" and clause.group is None
                )
            else:
                named = clause.attribute in (None, *group.attributes)
                named = named and clause.group in (None, *group.values)
                wanted = clause.quantity != "overall" and len(group.attributes) == 1 and named
            if wanted:
                yield g

    def _single(self, g: int, m: int, clause: Clause) -> Bounded:
        evidence = self.evidence
        make = evidence.change if clause.quantity == "change" else evidence.estimate
        found = make(g, m, clause.confidence)
        return Bounded(
            _named(found.target, found.group),
            found.value,
            found.low,
            found.high,
            found.ranked,
            found.reason,
            found.units,
            self._flattered(m),
            found.target,
        )

    def _extreme(self, attributes: tuple[str, ...], m: int, clause: Clause) -> Bounded:
        gap = self.evidence.gap(attributes, m, clause.confidence)
        name = _named(gap.target, f"by {attributes[0]}")
        if clause.quantity == "gap":
            ends = gap.value, gap.low, gap.high
        elif clause.quantity == "ratio":
            ends = gap.ratio, gap.ratio_low, gap.ratio_high
        else:
            ends = gap.worst_value, gap.worst_low, gap.worst_high
            by = f"by {attributes[0]}"
            name = _named(gap.target, f"{gap.worst}, the worst {by}" if gap.worst else by)
        if gap.reason:
            return Bounded(name, *ends, False, gap.reason, target=gap.target)
        if np.isnan(ends).any():
            lack = "no ratio: a group's value is 0 or below"
            return Bounded(name, *ends, False, lack, target=gap.target)
        found = Bounded(name, *ends, True, flattered=self._flattered(m), target=gap.target)
        return _without_unranked(found, gap.unranked, clause)

    def _criteria(self, clause: Clause) -> Iterator[Bounded]:
        evidence = self.evidence
        for found in evidence.criteria(clause.confidence):
            if (
                found.name != clause.quantity
                or len(found.attributes) > 1
                or clause.target not in (None, found.target)
                or clause.attribute not in (None, found.attributes[0])
            ):
                continue
            name = _named(found.target, f"by {found.attributes[0]}")
            ends = found.difference, found.low, found.high
            if found.reason:
                yield Bounded(name, *ends, False, found.reason, target=found.target)
            else:
                flattered = _FLATTERED if self._test_chosen(found.target) else ""
                bounded = Bounded(name, *ends, True, flattered=flattered, target=found.target)
                yield _without_unranked(bounded, found.unranked, clause)

    def _stressed(self, clause: Clause) -> Iterator[Bounded]:
        for cell in self.stress:
            if (
                (cell.metric, cell.shift) != (clause.metric, clause.shift)
                or clause.attribute not in (None, cell.attribute)
                or clause.target not in (None, cell.target)
                or cell.state == "impossible"
                or (clause.level is not None and abs(cell.level) > clause.level)
            ):
                continue
            yield self._stressed_cell(cell)

    def _stressed_cell(self, cell: StressCell) -> Bounded:
        about = ": ".join(filter(None, (cell.attribute, cell.category)))
        of = f" of {about}" if about else ""
        where = f"{cell.group or cell.scope} at {cell.shift} {cell.level:g}{of}"
        chosen = METRICS.get(cell.metric).reads == "decision" and self._test_chosen(cell.target)
        return Bounded(
            _named(cell.target, where),
            cell.value,
            cell.low,
            cell.high,
            cell.state == "adequate",
            cell.reason,
            flattered=_FLATTERED if chosen else "",
            target=cell.target,
        )

    def _leaked(self, clause: Clause) -> Iterator[Bounded]:
        for found in self.leakages:
            judged = found.latent == "content" and found.given_label
            judged = judged and found.predicts == "attribute"
            if judged and clause.attribute in (None, found.attribute):
                name = f"{found.attribute} by a {found.probe} probe"
                ends = found.auroc, found.low, found.high
                yield Bounded(name, *ends, not np.isnan(ends).any(), found.reason)

    def _flattered(self, m: int) -> str:
        target, metric = self.evidence.cube.measures[m]
        return _FLATTERED if metric.reads == "decision" and self._test_chosen(target) else ""

    def _test_chosen(self, target: str) -> bool:
        chosen = {each.target for each in self.thresholds if each.chosen_on == "test"}
        return bool(chosen) if target == MACRO else target in chosen


def _without_unranked(found: Bounded, unranked: tuple[str, ...], clause: Clause) -> Bounded:
    """A group that cannot be judged may be worse than the rest: it forbids a PASS, no FAIL."""
    listed = clause.small_groups == "listed"
    if not unranked or listed or clause.decide(found) == "FAIL":
        return found
    reason = f"too little evidence for {', '.join(unranked)}"
    return found._replace(enough=False, reason=reason)


def _named(target: str, group: str) -> str:
    return f"{target}, {group}" if target else group


def _absent(kind: str, name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    return f"The audit has no {kind} {name}.{guess}"

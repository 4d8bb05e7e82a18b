"""The metrics in other populations."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.stress import Line, Panel, stress_curves
from evaluation.metric import METRICS
from evaluation.populations import (
    at_home,
    failures,
    goodness,
    group,
    level,
    measured_in,
    moves,
    population,
)
from evaluation.section import (
    UNDEFINED,
    Section,
    folded,
    joined,
    paragraph,
    spoken,
    table,
    with_interval,
)
from evaluation.stress import Breakdown, Shift, StressCell

_PANELS = 4
_CURVE = ("metric", "shift", "attribute", "category", "scope")
_SHIFTS: dict[Shift, tuple[str, str]] = {
    "correlation": (
        "If the disease were tied to a group",
        "0 means that the disease is as common in the group as outside of it; above 0 it is "
        "more common in it, below 0 less. Of an attribute with several groups the one is drawn "
        "whose curves move most.",
    ),
    "prevalence": (
        "If the disease were rarer or more common",
        "Metrics that do not depend on the prevalence are flat and not drawn.",
    ),
    "marginal": (
        "If a group were rarer or more common",
        "Of each attribute the group is drawn whose curves move most.",
    ),
    "worst case": (
        "If the population were the worst within a distance",
        "So many of the samples are replaced by samples of another combination of label and "
        "group, chosen to hurt the metric most.",
    ),
}


class Stress(Section):
    """Curves over shifts, the worst populations, and where the policy breaks down."""

    title = "What would happen elsewhere"
    place = 48

    def applies(self, audit: Audit) -> bool:
        """Whether other populations were looked at."""
        return bool(audit.stress)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        target = audit.stress[0].target
        found = [cell for cell in audit.stress if cell.target == target]
        parts = [paragraph(_HOW_TO_READ), *_breakdowns(audit)]
        if target:
            said = f"{spoken(target).capitalize()}: other populations"
            parts.append(Markup("<h3>{}</h3>").format(said))
            others = "The same numbers for every other target are in tables/stress.csv."
            parts.append(paragraph(others))
        chief = _chief(audit, found)
        parts += [paragraph(_largest_drop(found)), _worst_table(found, chief)]
        parts += [paragraph(each) for each in _unmoved(found)]
        for shift in _SHIFTS:
            parts += _figure(audit, [cell for cell in found if cell.shift == shift], chief)
        parts.append(folded(f"All {len(found):,} numbers", _matrix(found)))
        return joined(parts)


_HOW_TO_READ = (
    "The same patients are given other weights, so that they stand for a population where the "
    "disease, a group, or both together are rarer or more common. Nothing else changes: the "
    "images, the scores and the threshold are those of this sample. So this shows what a "
    "different mix of patients would do, and not what another scanner or another disease would "
    "do. Bands are intervals; the large mark is this sample as it is; hollow grey marks rest on "
    "too few patients to be relied on."
)


def _breakdowns(audit: Audit) -> list[Markup]:
    """Where each clause begins to fail: in words for one target, counted for several."""
    if not audit.breakdowns:
        return []
    target = audit.stress[0].target
    clauses = list(dict.fromkeys(each.clause for each in audit.breakdowns))
    first = [each for each in audit.breakdowns if each.target == target]
    rows = [
        (clause, _listed(failures([each for each in first if each.clause == clause])))
        for clause in clauses
        if any(each.clause == clause for each in first)
    ]
    note = (
        "A clause fails where its whole interval is beyond the bound. The nearest level is "
        "named at which it does, among those that were computed."
    )
    about = f" for {spoken(target)}" if target else ""
    parts = [paragraph(note), table(["Clause", f"Where it begins to fail{about}"], rows)]
    targets = list(dict.fromkeys(each.target for each in audit.breakdowns))
    if len(targets) > 1:
        parts += [paragraph(_COUNTED), _counted(audit.breakdowns, targets, clauses)]
    return parts


_COUNTED = "For every target: whether a clause fails here already, or under how many shifts."


def _counted(
    found: Sequence[Breakdown], targets: Sequence[str], clauses: Sequence[str]
) -> Markup:
    def cell(target: str, clause: str) -> str:
        some = [each for each in found if (each.target, each.clause) == (target, clause)]
        broken = [each for each in some if each.side]
        if any(each.side == "observed" for each in some):
            return "fails here already"
        return f"{len(broken) or 'none'} of {len(some)}" if some else UNDEFINED

    rows = [(spoken(name), *(cell(name, clause) for clause in clauses)) for name in targets]
    return table(["Target", *clauses], rows)


def _listed(sentences: Sequence[str]) -> Markup:
    return Markup("<br>").join(each for each in sentences if each)


def _chief(audit: Audit, found: Sequence[StressCell]) -> list[str]:
    """The metrics to draw: those of the policy first."""
    asked = [each.metric for each in audit.policy.clause] if audit.policy else []
    names = list(dict.fromkeys(cell.metric for cell in found))
    return sorted(names, key=lambda name: name not in asked)[:_PANELS]


def _largest_drop(found: Sequence[StressCell]) -> str:
    """The metric that loses most, in words."""
    whole = [cell for cell in found if cell.scope == "overall" and cell.state == "adequate"]
    here = {cell.metric: cell for cell in whole if at_home(cell)}
    lost = [(goodness(cell) - goodness(here[cell.metric]), cell) for cell in whole if cell.metric in here]
    if not lost:
        return "Nothing can be said: no number over all samples has enough evidence."
    change, worst = min(lost, key=lambda each: each[0])
    label, home = METRICS.get(worst.metric).label, here[worst.metric]
    if change > -0.005:
        return "Over all samples no metric gets worse in any of these populations."
    return (
        f"Over all samples {label} would get worse most: from {home.value:.3f} here to "
        f"{worst.value:.3f} ({worst.low:.3f} to {worst.high:.3f}) in a population with "
        f"{population(worst)}."
    )


def _worst_table(found: Sequence[StressCell], chief: Sequence[str]) -> Markup:
    rows = []
    for metric in chief:
        for scope in ("overall", "worst group"):
            cells = [c for c in found if (c.metric, c.scope) == (metric, scope)]
            firm = [cell for cell in cells if cell.state == "adequate"]
            if cells:
                rows.append((METRICS.get(metric).label, *_worst_row(scope, firm)))
    head = ["Metric", "Of", "In this sample", "At worst elsewhere", "In a population with"]
    return table(head, rows)


def _worst_row(scope: str, firm: Sequence[StressCell]) -> tuple[object, ...]:
    of = "all samples" if scope == "overall" else "worst group"
    home = [cell for cell in firm if at_home(cell)]
    if not firm or not home:
        return of, UNDEFINED, UNDEFINED, "too little evidence"
    here, worst = min(home, key=goodness), min(firm, key=goodness)
    shown = _with_group(here), _with_group(worst)
    if not goodness(worst) < goodness(here) - 1e-6:
        return of, shown[0], "nowhere worse", ""
    return of, *shown, population(worst)


def _with_group(cell: StressCell) -> Markup:
    shown = with_interval(cell.value, cell.low, cell.high)
    return shown if cell.scope == "overall" else shown + f" {cell.group}"


def _unmoved(found: Sequence[StressCell]) -> Iterator[str]:
    """Which metrics cannot move under which shift, and why."""
    for shift, scope, why in _WHY:
        cells = [cell for cell in found if (cell.shift, cell.scope) == (shift, scope)]
        still = [
            METRICS.get(name).label
            for name in dict.fromkeys(cell.metric for cell in cells)
            if not moves(c for c in cells if c.metric == name)
            and any(c.metric == name and c.state == "adequate" for c in cells)
        ]
        if still:
            yield f"{', '.join(still)}: {why}"


_WHY: tuple[tuple[Shift, str, str], ...] = (
    (
        "prevalence",
        "overall",
        "the same at every prevalence, since they look at the diseased and the healthy apart.",
    ),
)


def _figure(
    audit: Audit, cells: Sequence[StressCell], chief: Sequence[str]
) -> Iterator[Markup]:
    """The curves of one shift, if any moves."""
    rows = list(_rows(audit, cells, chief))
    if not rows or not rows[0]:
        return
    shift = cells[0].shift
    heading, note = _SHIFTS[shift]
    yield Markup("<h3>{}</h3>").format(heading)
    yield paragraph(note)
    metrics = ", ".join(METRICS.get(name).label for name in chief)
    yield stress_curves(rows, f"{heading}: {metrics} by level of the shift")

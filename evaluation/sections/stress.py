"""The metrics in other populations."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.breakdown import Breakdown
from evaluation.figures.stress import Line, Panel, stress_curves
from evaluation.metric import METRICS
from evaluation.populations import (
    AXES,
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
from evaluation.stress import Scope, Shift, StressCell

_PANELS = 4
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
        metrics = _ordered(audit, found)
        parts += [paragraph(_largest_drop(found)), _worst_table(found, metrics)]
        parts += [paragraph(each) for each in _unmoved(found)]
        for shift in _SHIFTS:
            parts += _figure(audit, [cell for cell in found if cell.shift == shift], metrics)
        parts.append(folded(f"All {len(found):,} numbers", _matrix(found)))
        return joined(parts)


_HOW_TO_READ = (
    "The same patients are given other weights, so that they stand for a population where the "
    "disease, a group, or both together are rarer or more common. Nothing else changes: the "
    "images, the scores and the threshold are those of this sample. So this shows what a "
    "different mix of patients would do, and not what another scanner or another disease would "
    "do. Bands are intervals; the large mark is this sample as it is; hollow grey marks rest on "
    "too few patients to be relied on; dotted lines are bounds of the policy."
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


def _listed(sentences: Sequence[str]) -> Markup:
    return Markup("<br>").join(each for each in sentences if each)


def _ordered(audit: Audit, found: Sequence[StressCell]) -> list[str]:
    """The metrics, those of the policy first."""
    asked = [each.metric for each in audit.policy.clause] if audit.policy else []
    names = list(dict.fromkeys(cell.metric for cell in found))
    return sorted(names, key=lambda name: name not in asked)


def _largest_drop(found: Sequence[StressCell]) -> str:
    """The metric that loses most, in words."""
    whole = [cell for cell in found if cell.scope == "overall" and cell.state == "adequate"]
    here = {cell.metric: cell for cell in whole if at_home(cell)}
    lost = [
        (goodness(cell) - goodness(here[cell.metric]), cell)
        for cell in whole
        if cell.metric in here
    ]
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


_WHY: tuple[tuple[Shift, Scope, str], ...] = (
    (
        "prevalence",
        "overall",
        "the same at every prevalence, since diseased and healthy samples are looked at apart.",
    ),
    (
        "correlation",
        "worst group",
        "the same in the worst group however the disease is tied to it, since its own diseased "
        "and healthy samples stay as they are. Only the mix of groups changes.",
    ),
)


def _figure(
    audit: Audit, cells: Sequence[StressCell], metrics: Sequence[str]
) -> Iterator[Markup]:
    """The curves of one shift, for the first metrics that it moves."""
    moved = [name for name in metrics if moves(c for c in cells if c.metric == name)][:_PANELS]
    if not moved:
        return
    shift = cells[0].shift
    heading, note = _SHIFTS[shift]
    bounds = {name: _bounds(audit, name, shift) for name in moved}
    rows = [
        [Panel(_titled(name, about), lines(name), bounds[name]) for name in moved]
        for about, lines in _rows(cells, moved)
    ]
    yield Markup("<h3>{}</h3>").format(heading)
    yield paragraph(note)
    drawn = ", ".join(METRICS.get(name).label for name in moved)
    yield stress_curves(rows, f"{heading}: {drawn} by level of the shift")



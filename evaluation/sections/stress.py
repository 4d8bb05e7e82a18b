"""The metrics in other populations."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.stress import stress_curves
from evaluation.metric import METRICS
from evaluation.populations import at_home, failures, goodness, moves, population
from evaluation.section import (
    Section,
    bullets,
    folded,
    in_words,
    joined,
    paragraph,
    spoken,
    table,
)
from evaluation.stress import Scope, Shift, StressCell
from evaluation.stress_panels import panels
from evaluation.stress_tables import counted, every_number, worst_elsewhere

_HOW_TO_READ = (
    "The same patients are given other weights, so that they stand for a population where "
    "positive cases, a group, or both together are rarer or more common. Nothing else changes: "
    "images, scores and threshold are those of this sample. So this shows what another mix of "
    "patients would do, not what another scanner or another form of the disease would do."
)
_FAILS = (
    "A clause fails where the whole interval is beyond the bound. Of the levels that were "
    "computed, the nearest one at which it fails is named."
)
_COUNTED = (
    "For every target: whether the clause fails in this sample already, or else under how many "
    "of the shifts it begins to fail."
)
_PICKED = (
    "The worst is picked among many populations, each with an interval of its own that does "
    "not allow for that. So it is likely to look somewhat worse than it is, and a single "
    "failure among many shifts may be chance."
)
_MARKS = (
    "In the figures a band is the interval and the large mark is this sample as it is; hollow "
    "grey marks rest on too few patients to be relied on, and dotted lines are bounds of the "
    "policy."
)
_SHIFTS: dict[Shift, tuple[str, str]] = {
    "correlation": (
        "If positive cases were tied to a group",
        "At 0 they are as common in the group as outside of it, above 0 more common, below 0 "
        "less. Of an attribute with several groups the one is drawn whose curves move most.",
    ),
    "prevalence": (
        "If positive cases were rarer or more common",
        "Metrics that do not move are not drawn.",
    ),
    "marginal": (
        "If a group were rarer or more common",
        "Of each attribute the group is drawn whose curves move most. Within a group nothing "
        "changes.",
    ),
    "worst case": (
        "If the population were the worst within a distance",
        "So large a share of the samples is replaced by samples of another combination of "
        "label and group, the one that hurts the metric most; not computed for the AUROC.",
    ),
}
_STILL: tuple[tuple[Shift, Scope, str], ...] = (
    (
        "prevalence",
        "overall",
        "the same at every prevalence, since they look at positive and negative cases apart",
    ),
    (
        "correlation",
        "worst group",
        "the same in the worst group however the label is tied to it, since the group's own "
        "positive and negative cases stay as they are",
    ),
)


class Stress(Section):
    """Where the policy breaks down, the worst populations, and curves over shifts."""

    title = "What would happen elsewhere"
    place = 48

    def applies(self, audit: Audit) -> bool:
        """Whether other populations were looked at."""
        return bool(audit.stress)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        target = audit.stress[0].target
        found = [cell for cell in audit.stress if cell.target == target]
        metrics = _ordered(audit, found)
        parts = [paragraph(_HOW_TO_READ), *_all_targets(audit)]
        if target:
            parts += [
                Markup("<h3>{}</h3>").format(spoken(target).capitalize()),
                paragraph("The numbers of every other target are in tables/stress.csv."),
            ]
        parts += [
            paragraph(_at_worst(found, metrics[0])),
            *_breakdowns(audit, target),
            worst_elsewhere(found, metrics),
            paragraph(_PICKED),
            *(paragraph(sentence) for sentence in _unmoved(found)),
            paragraph(_MARKS),
            *_figures(audit, found, metrics),
            folded(f"All {len(found):,} numbers", every_number(found)),
        ]
        return joined(parts)


def _ordered(audit: Audit, found: Sequence[StressCell]) -> list[str]:
    """The metrics, those of the policy first."""
    asked = [clause.metric for clause in audit.policy.clause] if audit.policy else []
    names = list(dict.fromkeys(cell.metric for cell in found))
    return sorted(names, key=lambda name: name not in asked)


def _all_targets(audit: Audit) -> list[Markup]:
    """How each target fares, if there are several."""
    if len({found.target for found in audit.breakdowns}) < 2:
        return []
    return [paragraph(_COUNTED), counted(audit.breakdowns)]


def _breakdowns(audit: Audit, target: str) -> list[Markup]:
    """Where each clause begins to fail for one target, in words."""
    mine = [found for found in audit.breakdowns if found.target == target]
    clauses = dict.fromkeys(found.clause for found in mine)
    rows = [
        (clause, bullets(failures([found for found in mine if found.clause == clause])))
        for clause in clauses
    ]
    return (
        [paragraph(_FAILS), table(["Clause", "Where it begins to fail"], rows)] if rows else []
    )


def _at_worst(found: Sequence[StressCell], metric: str) -> str:
    """How bad the chief metric would get over all samples."""
    label = METRICS.get(metric).label
    firm = [
        cell
        for cell in found
        if (cell.metric, cell.scope, cell.state) == (metric, "overall", "adequate")
    ]
    here = next(filter(at_home, firm), None)
    if here is None:
        return f"Nothing can be said of {label} over all samples: there is too little evidence."
    worst = min(firm, key=goodness)
    at_home_it_is = (
        f"{label} over all samples is {in_words(here.value, here.low, here.high)} here"
    )
    if not goodness(worst) < goodness(here) - 0.0005:
        return f"{at_home_it_is}, and no worse in any population that could be judged."
    ends = in_words(worst.value, worst.low, worst.high)
    return f"{at_home_it_is}; at worst it would be {ends}, with {population(worst)}."


def _unmoved(found: Sequence[StressCell]) -> Iterator[str]:
    """Which metrics a shift cannot move, and why."""
    for shift, scope, why in _STILL:
        firm = [
            cell
            for cell in found
            if (cell.shift, cell.scope, cell.state) == (shift, scope, "adequate")
        ]
        names = dict.fromkeys(cell.metric for cell in firm)
        still = [
            METRICS.get(name).label
            for name in names
            if not moves(cell for cell in firm if cell.metric == name)
        ]
        if still:
            yield f"{', '.join(still)}: {why}."


def _figures(
    audit: Audit, found: Sequence[StressCell], metrics: Sequence[str]
) -> Iterator[Markup]:
    for shift, (heading, note) in _SHIFTS.items():
        cells = [cell for cell in found if cell.shift == shift]
        rows = panels(audit.policy, cells, metrics)
        if rows:
            yield Markup("<h3>{}</h3>").format(heading)
            yield paragraph(note)
            yield stress_curves(rows, f"{heading}: curves of the metrics over the shift")

"""All findings at one look."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.findings import MOST_MARKS, Panel, dots
from evaluation.findings import Gap
from evaluation.metric import METRICS
from evaluation.section import (
    Section,
    chief_metric,
    exceeds_chance,
    joined,
    listed,
    number,
    paragraph,
    question,
    spoken,
    table,
    with_interval,
)

_MOST_PANELS = 4


class Findings(Section):
    """One line a finding or class: how good, for whom worst, and how wide the gaps."""

    title = "All findings at a glance"
    place = 19

    def applies(self, audit: Audit) -> bool:
        """Whether there are several findings or classes, and a metric that they share."""
        return len(audit.targets) > 1 and bool(_overall(audit))

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        label = METRICS.get(chief_metric(audit)).label
        note = (
            f"{label} of every {question(audit).lower()}, and its gap: the value of the best "
            "group less that of the worst. A gap with ▲ is larger than chance would make of "
            "equal groups; without it, it shows nothing. Many were looked at, so a few ▲ would "
            "occur by chance alone."
        )
        gaps = _gaps(audit)
        told = [_pattern(audit, attribute, gaps) for attribute in _attributes(audit)]
        return joined(
            [
                paragraph(note),
                *map(paragraph, told),
                *_figure(audit, gaps, label),
                _table(audit, gaps, label),
            ]
        )


def _attributes(audit: Audit) -> list[str]:
    return [attribute.name for attribute in audit.spec.attributes]


def _overall(audit: Audit) -> dict[str, Markup]:
    """The chief metric over all samples by target."""
    metric = chief_metric(audit)
    return {
        each.target: with_interval(each.value, each.low, each.high)
        for each in audit.estimates
        if (each.metric, each.group) == (metric, "all") and each.target in audit.targets
    }


def _gaps(audit: Audit) -> dict[tuple[str, str], Gap]:
    """The gaps of the chief metric by target and attribute."""
    metric = chief_metric(audit)
    return {
        (gap.target, gap.attributes[0]): gap
        for gap in audit.gaps
        if gap.metric == metric and len(gap.attributes) == 1 and gap.target in audit.targets
    }


def _pattern(audit: Audit, attribute: str, gaps: dict[tuple[str, str], Gap]) -> str:
    """For how many findings groups differ, and which group is worst how often."""
    inside = [
        gaps[target, attribute] for target in audit.targets if (target, attribute) in gaps
    ]
    wide = sorted(filter(exceeds_chance, inside), key=lambda gap: -gap.value)
    told = f"By {attribute}: larger than chance for {len(wide)} of {len(audit.targets)}"
    blind = sum(bool(np.isnan(gap.value)) for gap in inside)
    unknown = f" For {blind} there is too little evidence to say." if blind else ""
    if not wide:
        return f"{told}.{unknown}"
    worst = [gap.worst for gap in wide]
    names = listed((f"{spoken(gap.target)} {number(gap.value)}" for gap in wide), 5)
    often = max(dict.fromkeys(worst), key=worst.count)
    count = worst.count(often)
    most = f" Most often worst among these: {often} ({count} times)." if count > 1 else ""
    return f"{told}: {names}.{most}{unknown}"


def _figure(audit: Audit, gaps: dict[tuple[str, str], Gap], label: str) -> Iterator[Markup]:
    panels = [_panel(audit, name, gaps) for name in _attributes(audit)[:_MOST_PANELS]]
    if not panels:
        return
    metric = chief_metric(audit)
    whole = {
        e.target: e.value for e in audit.estimates if (e.metric, e.group) == (metric, "all")
    }
    overall = [whole.get(target, float("nan")) for target in audit.targets]
    yield dots([spoken(target) for target in audit.targets], overall, panels, label)
    told = (
        "Each line runs from the worst to the best group that could be ranked; it is thick and "
        "dark where the gap is larger than chance. The upright tick is all samples."
    )
    if any(len(panel.groups) > MOST_MARKS for panel in panels):
        told += f" Only the first {MOST_MARKS} groups of an attribute have marks."
    yield paragraph(told)


def _panel(audit: Audit, attribute: str, gaps: dict[tuple[str, str], Gap]) -> Panel:
    metric = chief_metric(audit)
    sizes = [size for size in audit.cohort if size.attributes == (attribute,)]
    names = list(dict.fromkeys(size.group for size in sizes))
    found = {
        (each.target, each.group): each.value
        for each in audit.estimates
        if each.metric == metric and each.ranked
    }
    values = [[found.get((target, name), np.nan) for name in names] for target in audit.targets]
    wide = [
        (target, attribute) in gaps and exceeds_chance(gaps[target, attribute])
        for target in audit.targets
    ]
    groups = [size.values[0] for size in sizes[: len(names)]]
    return Panel(attribute, groups, np.array(values), wide)


def _table(audit: Audit, gaps: dict[tuple[str, str], Gap], label: str) -> Markup:
    attributes = _attributes(audit)
    overall = _overall(audit)
    head = [question(audit), label, *(["Worst group"] if attributes else [])]
    head += [f"Gap by {attribute}" for attribute in attributes]
    rows = []
    for target in audit.targets:
        if target not in overall:
            continue
        found = [gaps[target, name] for name in attributes if (target, name) in gaps]
        worst = [_worst(found)] if attributes else []
        rows.append((spoken(target), overall[target], *worst, *map(_gap, found)))
    return table(head, rows)


def _worst(gaps: Sequence[Gap]) -> Markup:
    ranked = [gap for gap in gaps if gap.worst]
    if not ranked:
        return Markup("<small>–</small>")
    better = METRICS.get(ranked[0].metric).goodness
    gap = min(ranked, key=lambda each: float(better(np.array(each.worst_value))))
    shown = with_interval(gap.worst_value, gap.worst_low, gap.worst_high)
    return Markup("{}<br>{}").format(gap.worst, shown)


def _gap(gap: Gap) -> Markup:
    shown = with_interval(gap.value, gap.low, gap.high)
    if np.isnan(gap.value):
        return shown + Markup(' <span class="reason">{}</span>').format(gap.reason)
    return Markup("▲ {}").format(shown) if exceeds_chance(gap) else shown

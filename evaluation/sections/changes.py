"""Changes against the champion."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.changes import changes_plot
from evaluation.findings import Change, LevellingDown
from evaluation.metric import METRICS
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    folded,
    in_words,
    joined,
    listed,
    measured,
    number,
    paragraph,
    spoken,
    table,
    with_interval,
)

_PANELS = 3
_SIGNS = {"non-inferior": "✓", "inferior": "✗", "undecided": "?", "undefined": "·"}
_MOST_LEVELLED = 20


class Changes(Section):
    """Paired changes overall and in each group, and gaps that narrowed because a group lost."""

    title = "Change against the champion"
    place = 60

    def applies(self, audit: Audit) -> bool:
        """Whether there was a champion."""
        return bool(audit.changes)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        targets = measured(audit)
        found = [change for change in audit.changes if change.target == targets[0]]
        metrics = _ordered(audit)
        chief = metrics[:_PANELS]
        parts = [
            paragraph(_how_to_read(audit)),
            paragraph(_concluded(audit)),
            bullets(_sentence(found, metric) for metric in chief),
        ]
        if len(targets) > 1:
            parts += [_by_target(audit, targets, chief), _heading(spoken(targets[0]))]
        groups = list(dict.fromkeys(change.group for change in found))
        cells = {(change.metric, change.group): change for change in found}
        drawn = [[cells[metric, group] for group in groups] for metric in chief]
        parts += [
            changes_plot(groups, drawn, audit.spec.margin, "Changes against the champion"),
            _table(cells, groups, chief),
        ]
        if len(metrics) > len(chief):
            rest = _table(cells, groups, metrics[_PANELS:])
            parts.append(folded(f"{len(metrics) - _PANELS} more metrics", rest))
        return joined([*parts, *_levelling(audit.levelling)])


def _heading(name: str) -> Markup:
    return Markup("<h3>{}</h3>").format((name or "All classes").capitalize())


def _how_to_read(audit: Audit) -> str:
    margin = f"{audit.spec.margin:g}"
    return (
        f"This model minus {audit.champion}, on the same samples and the same resampled "
        f"patients, turned so that positive is better. A loss of less than {margin} counts as "
        f"none: ✓ the whole interval loses less (non-inferior), ✗ all of it loses more "
        f"(inferior), ? it may be either (undecided). Undecided is no pass: it takes more "
        f"patients to tell. Each interval holds by itself: of many groups that did not change, "
        f"a few seem to have lost by chance."
    )


def _concluded(audit: Audit) -> str:
    """How many of all changes came to which conclusion."""
    counts = {
        name: sum(change.conclusion == name for change in audit.changes) for name in _SIGNS
    }
    said = listed(f"{count} {name}" for name, count in counts.items() if count)
    return f"Of {len(audit.changes):,} changes, over all metrics and groups, {said}."


def _ordered(audit: Audit) -> list[str]:
    """The metrics: those whose change the policy judges first, then the primary ones."""
    names = list(dict.fromkeys(change.metric for change in audit.changes))
    clauses = audit.policy.clause if audit.policy else ()
    judged = [clause.metric for clause in clauses if clause.quantity == "change"]
    return sorted(names, key=lambda name: (name not in judged, name not in audit.spec.primary))


def _sentence(found: Sequence[Change], metric: str) -> str:
    """The change over all samples, and the group that lost most."""
    label = METRICS.get(metric).label
    mine = [change for change in found if change.metric == metric]
    whole = next(change for change in mine if change.group == "all")
    if whole.conclusion == "undefined":
        return f"{label}: nothing can be said, {whole.reason}."
    ends = in_words(whole.value, whole.low, whole.high)
    said = f"{label} over all samples: {ends}, {whole.conclusion}"
    groups = [change for change in mine if change.ranked and change.group != "all"]
    lost = sorted((change for change in groups if change.high < 0), key=lambda c: c.value)
    if not groups:
        return f"{said}."
    if not lost:
        return f"{said}; no group's whole interval is a loss."
    worst = lost[0]
    ends = in_words(worst.value, worst.low, worst.high)
    return f"{said}; {worst.group} lost most: {ends}, {worst.conclusion}."


def _table(
    cells: dict[tuple[str, str], Change], groups: Sequence[str], metrics: Sequence[str]
) -> Markup:
    head = ["Group", *(METRICS.get(metric).label for metric in metrics)]
    rows = [(group, *(_shown(cells[metric, group]) for metric in metrics)) for group in groups]
    return table(head, rows)


def _shown(change: Change) -> Markup:
    if change.conclusion == "undefined":
        value = with_interval(change.value, change.low, change.high)
        return Markup('{} <span class="reason">{}</span>').format(value, change.reason)
    ends = in_words(change.value, change.low, change.high)
    return Markup("{} {}").format(_SIGNS[change.conclusion], ends)


def _by_target(audit: Audit, targets: Sequence[str], metrics: Sequence[str]) -> Markup:
    """For each target the conclusion over all samples, and the groups that are not safe."""
    found: dict[tuple[str, str], list[Change]] = {}
    for change in audit.changes:
        found.setdefault((change.target, change.metric), []).append(change)
    rows = [
        (spoken(name) or "all classes", *(_brief(found.get((name, m), [])) for m in metrics))
        for name in targets
    ]
    return table(["Target", *(METRICS.get(metric).label for metric in metrics)], rows)


def _brief(found: Sequence[Change]) -> str:
    if not found:
        return UNDEFINED
    whole = next(change for change in found if change.group == "all")
    groups = [change for change in found if change is not whole]
    lost = [change.group for change in groups if change.conclusion == "inferior"]
    unclear = sum(change.conclusion in ("undecided", "undefined") for change in groups)
    notes = [f"✗ {listed(lost, 3)}"] if lost else []
    notes += [f"? {unclear} of {len(groups)} groups"] if unclear else []
    return "; ".join([f"{_SIGNS[whole.conclusion]} {number(whole.value)}", *notes])


def _levelling(found: Sequence[LevellingDown]) -> list[Markup]:
    """Gaps that narrowed because a group lost, in words."""
    levelled = [each for each in found if each.levelled]
    known = sum(not np.isnan(each.after) for each in found)
    heading = Markup("<h3>Was fairness bought with harm?</h3>")
    note = paragraph(
        "A gap can narrow because the worse group gains, or because a better one loses. The "
        "second helps nobody, and is called levelling down."
    )
    if not known:
        return [heading, note, paragraph("No gap could be compared between the two models.")]
    if not levelled:
        said = f"None of {known} gaps narrowed while a group's whole interval was a loss."
        return [heading, note, paragraph(said)]
    sentences = [_levelled(each) for each in levelled[:_MOST_LEVELLED]]
    if len(levelled) > _MOST_LEVELLED:
        left = len(levelled) - _MOST_LEVELLED
        sentences.append(f"{left} more are in tables/levelling.csv.")
    return [heading, note, bullets(sentences)]


def _levelled(found: LevellingDown) -> str:
    about = f"{spoken(found.target).capitalize()}: the" if found.target else "The"
    gap = f"gap in {METRICS.get(found.metric).label} by {' and '.join(found.attributes)}"
    narrowed = f"narrowed from {number(found.before)} to {number(found.after)}"
    return f"{about} {gap} {narrowed} while {listed(found.lost)} lost."

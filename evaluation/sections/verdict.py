"""Verdict page."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.findings import ClauseVerdict, Gap
from evaluation.metric import METRICS
from evaluation.section import (
    Section,
    badge,
    bullets,
    chief_metric,
    count,
    decided,
    exceeds_chance,
    in_words,
    joined,
    listed,
    meaning,
    measured,
    number,
    paragraph,
    spoken,
    table,
)
from evaluation.target import MACRO

_SENTENCE = {
    "PASS": "Every clause of the policy holds, each on its whole interval.",
    "FAIL": "At least one clause of the policy is broken on its whole interval.",
    "INSUFFICIENT": "No clause is broken beyond doubt, but the evidence does not show that all "
    "hold. This is not a pass.",
}
_WITHOUT = "No policy was given, so nothing was judged: there is no verdict to sign."
_ON_TEST = (
    "Test rows chose how decisions are made, so sensitivities, specificities and all else that "
    "hangs on decisions look better here than they would on new patients. No clause about them "
    "can pass, and every page says so."
)
_SPLIT = (
    "Some patients or images are in more than one split, so numbers may be better than they "
    "would be on new patients; see “Where the numbers come from”."
)
_SIGNATURES = Markup(
    '<div class="signatures">'
    + "".join(
        f'<div><span class="line"></span>{role}: name, date, signature</div>'
        for role in ("Validated by", "Approved by")
    )
    + "</div>"
)


class Verdict(Section):
    """The decision, clause by clause, what was found in short, and room to sign."""

    title = "Verdict"
    place = 0

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        return joined(
            [
                *self._decision(audit),
                Markup("<h3>In short</h3>"),
                bullets([*in_short(audit), *cautions(audit)]),
                self._audited(audit),
                _SIGNATURES,
            ]
        )

    def _decision(self, audit: Audit) -> list[Markup]:
        if audit.policy is None:
            return [paragraph(_WITHOUT)]
        heading = Markup('<p class="verdict">{} under policy “{}”</p>').format(
            badge(audit.verdict), audit.policy.name
        )
        rows = [
            (f"{clause.clause}.", _found(clause), badge(clause.verdict))
            for clause in audit.clauses
        ]
        return [
            heading,
            paragraph(_SENTENCE[audit.verdict or "INSUFFICIENT"]),
            *([paragraph(audit.policy.description)] if audit.policy.description else []),
            Markup('<div class="clauses">{}</div>').format(
                table(["What was required", "What was found", "Verdict"], rows)
            ),
        ]

    def _audited(self, audit: Audit) -> Markup:
        attributes = [attribute.name for attribute in audit.spec.attributes]
        about = " ".join(filter(None, (audit.about.name, audit.about.version)))
        rows = [
            *([("Model", about)] if about else []),
            ("Predictions", audit.source),
            ("Audited", _amount(audit)),
            *([("Questions", _questions(audit))] if len(audit.targets) > 1 else []),
            (
                "Groups",
                f"by {listed(attributes)}" if attributes else "none: no attribute given",
            ),
            ("Decisions", decided(audit.thresholds)),
        ]
        return table(["", "What was audited"], rows)


def in_short(audit: Audit) -> Iterator[str]:
    """The chief metric over all samples, and where groups differ, in sentences."""
    metric = chief_metric(audit)
    whole = [each for each in audit.estimates if each.group == "all" and each.metric == metric]
    if not whole:
        return
    first = min(whole, key=lambda each: each.target != MACRO)
    label = METRICS.get(metric).label
    of = f" ({spoken(first.target)})" if first.target else ""
    if np.isnan(first.value):
        yield f"{label}{of} is undefined: {first.reason}."
    else:
        ends = in_words(first.value, first.low, first.high)
        yield f"{label}{of} is {ends} over all samples. {label}: {_lowered(meaning(metric))}."
    gaps = [
        gap
        for gap in audit.gaps
        if (gap.metric, len(gap.attributes)) == (metric, 1) and not np.isnan(gap.value)
    ]
    if len(measured(audit)) == 1:
        yield from _widest(gaps, label)
    else:
        yield from _by_finding(
            audit, [gap for gap in gaps if gap.target in audit.targets], label
        )


def cautions(audit: Audit) -> Iterator[str]:
    """What makes the numbers of the page too good."""
    if audit.chosen_on_test:
        yield _ON_TEST
    if not audit.provenance.sound:
        yield _SPLIT


def _widest(gaps: list[Gap], label: str) -> Iterator[str]:
    if not gaps:
        return
    gap = max(gaps, key=lambda each: each.value)
    chance = "larger than" if exceeds_chance(gap) else "within what"
    yield (
        f"The widest gap between groups is by {gap.attributes[0]}: "
        f"{in_words(gap.value, gap.low, gap.high)}, {chance} chance alone would make of equal "
        f"groups (up to {number(gap.null_high)}). {label} is worst for {gap.worst}: "
        f"{in_words(gap.worst_value, gap.worst_low, gap.worst_high)}."
    )


def _by_finding(audit: Audit, gaps: list[Gap], label: str) -> Iterator[str]:
    told = []
    for attribute in dict.fromkeys(gap.attributes[0] for gap in gaps):
        wide = [gap for gap in gaps if gap.attributes == (attribute,) and exceeds_chance(gap)]
        said = f"by {attribute} for {len(wide)} of {len(audit.targets)}"
        if wide:
            gap = max(wide, key=lambda each: each.value)
            ends = in_words(gap.value, gap.low, gap.high)
            said += f" (widest: {spoken(gap.target)}, {ends}, worst for {gap.worst})"
        told.append(said)
    if told:
        yield (
            f"The gap of {label} between groups is larger than chance alone would make of "
            f"equal groups {'; '.join(told)}."
        )


def _found(clause: ClauseVerdict) -> str:
    """The number that decided, and how many more are like it."""
    if clause.judged < 2:
        return clause.reason
    several = len(clause.targets) > 1
    where = f" ({listed(map(spoken, clause.targets), 4)})" if several else ""
    if clause.verdict == "PASS":
        return f"Holds for all {clause.judged:,} numbers; nearest to the bound: {clause.reason}"
    amount = f"{clause.decided:,} of {clause.judged:,} numbers{where}"
    if clause.verdict == "FAIL":
        return f"Broken by {amount}; furthest off: {clause.reason}"
    return f"Not shown for {amount}. Among them: {clause.reason}"


def _amount(audit: Audit) -> str:
    everyone = max(
        (size for size in audit.cohort if size.group == "all"),
        key=lambda size: size.images or 0,
    )
    return f"{count(everyone.images)} test images of {count(everyone.patients)} patients"


def _questions(audit: Audit) -> str:
    word = "classes" if audit.task == "multiclass" else "findings"
    return f"{len(audit.targets)} {word}: {listed(map(spoken, audit.targets), 20)}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]

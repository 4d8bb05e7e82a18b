"""Disparities with confounders balanced."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.adjustment import Adjusted, AdjustedGap
from evaluation.audit import Audit
from evaluation.metric import METRICS
from evaluation.parts import of_target, parts
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    folded,
    in_words,
    joined,
    listed,
    number,
    paragraph,
    table,
    with_interval,
)

_GAPS = (
    "Metric",
    "By",
    "Balanced",
    "Gap as it is",
    "Gap when balanced",
    "Reading",
    "Worst off",
)
_GROUPS = (
    "Group",
    "Metric",
    "As it is",
    "Balanced",
    "Patients it is worth",
    "Imbalance before",
    "After",
    "Note",
)
_NAMED = 4


class AdjustedDisparities(Section):
    """Raw disparities beside those with the confounders balanced."""

    title = "Disparities with confounders balanced"
    place = 44

    def applies(self, audit: Audit) -> bool:
        """Whether confounders were named."""
        return bool(audit.adjusted)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "Groups differ in more than the attribute: one may be older, or imaged lying down. "
            "Here each group is weighted so that the named confounders "
            f"({listed(audit.spec.confounders)}) are mixed in it as in all samples. What then "
            "goes away was the confounders' part of the gap; what is left is not explained by "
            "them. That proves neither a cause nor unfairness: a confounder that was not named "
            "may be behind it, and one that the attribute itself brings about is part of the "
            "disparity and should not be balanced away."
        )
        targets = list(dict.fromkeys(each.target for each in audit.adjusted_gaps))
        cells = 5 * len(audit.adjusted_gaps) // max(len(targets), 1)
        tables = parts(
            targets,
            lambda target: _part(audit, target, targets[0]),
            cells,
            "adjusted_gaps",
        )
        note = (
            "Patients it is worth: how many equally weighted patients hold as much evidence. "
            "Imbalance is the largest difference of a confounder's share between the group and "
            "all samples, in standard deviations; below 0.1 counts as balanced."
        )
        found = _sentences(audit.adjusted_gaps)
        return joined([paragraph(how), *found, paragraph(note), tables])


def _sentences(gaps: Sequence[AdjustedGap]) -> Iterator[Markup]:
    known = [gap for gap in gaps if not np.isnan(gap.value)]
    if not known:
        yield paragraph("No group could be balanced with enough evidence to compare it.")
        return
    left = sorted(filter(_beyond, known), key=lambda gap: gap.null_high - gap.value)
    yield paragraph(
        f"Of {len(known):,} gaps, {len(left):,} are larger than chance explains with the "
        f"confounders balanced.{' The largest of them:' if left else ''}"
    )
    if left:
        yield bullets(map(_said, left[:_NAMED]))


def _said(gap: AdjustedGap) -> str:
    what = f"{METRICS.get(gap.metric).label}{of_target(gap.target)} by {gap.attribute}"
    balanced = in_words(gap.value, gap.low, gap.high)
    return (
        f"{what}: {number(gap.raw)} as it is, {balanced} with {listed(gap.confounders)} "
        f"balanced; worst off is {gap.worst}."
    )


def _part(audit: Audit, target: str, first: str) -> Markup:
    gaps = [_gap_row(gap) for gap in audit.adjusted_gaps if gap.target == target]
    shown = [table(_GAPS, gaps)]
    if target == first:
        found = [each for each in audit.adjusted if each.target == target]
        summary = f"The {len(found)} numbers by group behind them"
        shown += [*_worth(found), folded(summary, table(_GROUPS, map(_row, found)))]
    return joined(shown)


def _worth(found: Sequence[Adjusted]) -> Iterator[Markup]:
    """How far balance was reached and what it cost, in a sentence."""
    after = [each for each in found if not np.isnan(each.imbalance_after)]
    if not after:
        return
    furthest = max(after, key=lambda each: each.imbalance_before)
    fewest = min(after, key=lambda each: each.effective)
    before, reached = number(furthest.imbalance_before), number(furthest.imbalance_after)
    yield paragraph(
        f"Most unlike all samples was {furthest.group}: imbalance {before} before, {reached} "
        f"after. Least evidence is left for {fewest.group} in "
        f"{METRICS.get(fewest.metric).label}: worth {fewest.effective:,.0f} patients."
    )
    if lost := dict.fromkeys(each.group for each in found if each.state != "adequate"):
        yield paragraph(f"Not ranked in at least one metric: {listed(lost, 8)}.")


def _gap_row(gap: AdjustedGap) -> tuple[object, ...]:
    what = METRICS.get(gap.metric).label, gap.attribute, ", ".join(gap.confounders)
    if np.isnan(gap.value):
        return *what, UNDEFINED, UNDEFINED, gap.reason, UNDEFINED
    reading = "▲ beyond chance" if _beyond(gap) else "within chance"
    return (
        *what,
        number(gap.raw),
        with_interval(gap.value, gap.low, gap.high),
        gap.reason or f"{reading} (up to {number(gap.null_high)})",
        gap.worst,
    )


def _beyond(gap: AdjustedGap) -> bool:
    return bool(gap.value > gap.null_high)


def _row(found: Adjusted) -> tuple[object, ...]:
    note = f"{found.state}: {found.reason}" if found.state != "adequate" else found.reason
    return (
        found.group,
        METRICS.get(found.metric).label,
        number(found.raw),
        with_interval(found.value, found.low, found.high),
        f"{found.effective:,.0f}",
        number(found.imbalance_before),
        number(found.imbalance_after),
        note,
    )

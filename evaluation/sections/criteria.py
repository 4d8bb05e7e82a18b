"""The named fairness criteria."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.fairness import Criterion
from evaluation.findings import GroupSize
from evaluation.parts import named, parts
from evaluation.section import (
    UNDEFINED,
    Section,
    folded,
    joined,
    number,
    paragraph,
    table,
    with_interval,
)

_MEANING = {
    "demographic parity": "The same share of every group is called positive, whatever the "
    "truth.",
    "equal opportunity": "Of those who have it, the same share is found in every group.",
    "predictive equality": "Of those who do not have it, the same share is called positive "
    "wrongly.",
    "equalised odds": "Both of the former two at once; the larger difference counts.",
    "predictive parity": "Of those called positive, the same share has it in every group.",
}
_HEAD = (
    "Criterion",
    "By",
    "Difference",
    "Reading",
    "Lowest / highest",
    "Worse off",
    "Better off",
)


class Criteria(Section):
    """Demographic parity, equal opportunity, equalised odds and predictive parity."""

    title = "Fairness criteria"
    place = 32

    def applies(self, audit: Audit) -> bool:
        """Whether the metrics of any criterion were computed by group."""
        return bool(audit.criteria)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "Each criterion asks that one rate be the same in all groups. The difference is "
            "that of the highest and the lowest group, with an interval that holds for all "
            "groups at once; “beyond chance” means that alike groups would hardly show so much."
        )
        names = list(dict.fromkeys(each.name for each in audit.criteria))
        targets = list(dict.fromkeys(each.target for each in audit.criteria))
        shown = [paragraph(how), table(["Criterion", "What it asks"], _meanings(names))]
        shown.append(paragraph(_conflict(audit, targets[0])))
        if len(targets) > 1:
            shown.append(_overview(audit, names, len(targets)))
        single = [each for each in audit.criteria if len(each.attributes) == 1]
        cells = 2 * len(single) // max(len(targets), 1)
        shown.append(parts(targets, lambda t: _tables(audit, t, targets[0]), cells, "criteria"))
        return joined(shown)


def _meanings(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name.capitalize(), _MEANING[name]) for name in names)


def _conflict(audit: Audit, target: str) -> str:
    """Why they do not all hold, with how common the positive label is here."""
    said = (
        "They cannot all hold at once. Where the positive label is more common in one group "
        "than in another, no model that ever errs can have both equal error rates and equal "
        "precision. So a broken criterion is no verdict by itself: choose beforehand the one "
        "whose error harms most."
    )
    sizes = [
        (size, size.positives / size.images)
        for size in audit.cohort
        if size.target == target
        and len(size.attributes) == 1
        and size.positives is not None
        and size.images
        and (size.patients or 0) >= audit.spec.minimum_patients
    ]
    if len(sizes) < 2:
        return said
    lowest, highest = min(sizes, key=_share), max(sizes, key=_share)
    about = f"“{named(target)}”" if target else "the positive label"
    return (
        f"{said} Here the share with {about} goes from {number(lowest[1])} "
        f"({lowest[0].group}) to {number(highest[1])} ({highest[0].group})."
    )


def _share(pair: tuple[GroupSize, float]) -> float:
    return pair[1]


def _overview(audit: Audit, names: Sequence[str], targets: int) -> Markup:
    """For how many findings each criterion is broken, by attribute."""
    single = [each for each in audit.criteria if len(each.attributes) == 1]
    attributes = list(dict.fromkeys(each.attributes for each in single))
    rows = [
        (
            name.capitalize(),
            *(
                _broken([c for c in single if (c.name, c.attributes) == (name, by)])
                for by in attributes
            ),
        )
        for name in names
    ]
    what = "classes" if audit.task == "multiclass" else "findings"
    note = f"For how many of {targets} {what} the difference is beyond chance:"
    head = ["Criterion", *(f"By {by[0]}" for by in attributes)]
    return joined([paragraph(note), table(head, rows)])


def _broken(found: Sequence[Criterion]) -> str:
    known = [each for each in found if not np.isnan(each.difference)]
    return f"{sum(map(_beyond, known))} of {len(known)}" if known else UNDEFINED


def _tables(audit: Audit, target: str, first: str) -> Markup:
    found = [each for each in audit.criteria if each.target == target]
    single = [each for each in found if len(each.attributes) == 1]
    crossed = [each for each in found if len(each.attributes) > 1]
    shown = [table(_HEAD, map(_row, single))]
    if crossed and target == first:
        shown.append(
            folded(f"{len(crossed)} for crossed groups", table(_HEAD, map(_row, crossed)))
        )
    return joined(shown)


def _beyond(found: Criterion) -> bool:
    return bool(found.difference > found.null_high)


def _row(found: Criterion) -> tuple[object, ...]:
    name, by = found.name.capitalize(), " × ".join(found.attributes)
    if np.isnan(found.difference):
        return name, by, UNDEFINED, found.reason, *([UNDEFINED] * 3)
    beyond = "▲ beyond chance" if _beyond(found) else "within chance"
    reading = f"{beyond} (up to {number(found.null_high)})"
    return (
        name,
        by,
        with_interval(found.difference, found.low, found.high),
        found.reason if np.isnan(found.null_high) else reading,
        with_interval(found.ratio, found.ratio_low, found.ratio_high),
        found.worst,
        found.best,
    )

"""Cohort table."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.findings import GroupSize
from evaluation.groups import MISSING
from evaluation.section import (
    UNDEFINED,
    Section,
    count,
    folded,
    joined,
    paragraph,
    question,
    spoken,
    table,
)

# A matrix of more cells than this opens on demand.
_MOST_CELLS = 200
# From here on groups are commonly called out of balance (Austin 2009).
_UNBALANCED = 0.1


class CohortTable(Section):
    """Who was audited: patients, images and positives in every group ("Table 1")."""

    title = "Who was audited"
    place = 10

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        single = [size for size in audit.cohort if len(size.attributes) <= 1]
        targets = list(dict.fromkeys(size.target for size in single))
        note = (
            "Who the numbers of this report are about. Samples with a missing attribute are a "
            "group of their own, so nobody is left out of a table. Patients are counted once "
            "in a group; a patient whose images differ in an attribute counts in several."
        )
        parts = [paragraph(note), *map(paragraph, _missing(single, audit))]
        if len(targets) == 1:
            return joined([*parts, *_one(single)])
        return joined([*parts, _sizes(single), *_matrix(single, targets, question(audit))])


def _missing(sizes: Iterable[GroupSize], audit: Audit) -> Iterator[str]:
    """For which attributes values are missing, in a sentence."""
    blind = {size.attributes[0] for size in sizes if MISSING in size.values}
    named = [attribute.name for attribute in audit.spec.attributes]
    known = [name for name in named if name not in blind]
    if known:
        yield f"Known for every image: {', '.join(known)}."


def _one(sizes: Sequence[GroupSize]) -> Iterator[Markup]:
    """The table of a single question, with prevalence and how far it differs."""
    everyone = sizes[0]
    contrasts = {size.group: _contrast(size, sizes) for size in sizes[1:]}
    ranked = {name: value for name, value in contrasts.items() if not np.isnan(value)}
    if ranked:
        yield paragraph(_most_different(ranked))
    rows = [
        (
            size.group,
            count(size.patients),
            count(size.images),
            _percent(_share(size.images, everyone.images)),
            count(size.positives),
            _percent(_share(size.positives, size.images)),
            _signed(contrasts.get(size.group, float("nan"))),
        )
        for size in sizes
    ]
    head = [
        "Group",
        "Patients",
        "Images",
        "Share of images",
        "Positive",
        "Prevalence",
        "Standardised difference of prevalence",
    ]
    yield table(head, rows)


def _most_different(contrasts: dict[str, float]) -> str:
    name = max(contrasts, key=lambda each: abs(contrasts[each]))
    value = contrasts[name]
    side = "more" if value > 0 else "less"
    told = (
        "The last column compares the prevalence of each group with that of all other groups "
        "of the same attribute, in standard deviations; 0.1 and more is commonly called a "
        "difference worth notice. "
    )
    if abs(value) < _UNBALANCED:
        return told + "Here no group reaches it."
    return told + (
        f"Here it is largest for {name} ({_signed(value)}: positives are {side} common). "
        "Precision, average precision and the Brier score follow prevalence, so groups of "
        "different prevalence differ in them without any unfairness."
    )


def _contrast(size: GroupSize, sizes: Iterable[GroupSize]) -> float:
    """Standardised difference of the prevalence of a group from that of the others."""
    others = [
        each
        for each in sizes
        if each.attributes == size.attributes and each.group != size.group
    ]
    counts = [n for each in (size, *others) for n in (each.images, each.positives)]
    if not others or None in counts:
        return float("nan")
    own = _share(size.positives, size.images)
    rest = _share(
        sum(each.positives or 0 for each in others), sum(e.images or 0 for e in others)
    )
    return standardised_difference(own, rest)


def standardised_difference(first: float, second: float) -> float:
    r"""Difference of two shares in standard deviations.

    .. math:: d = \frac{p_1 - p_2}{\sqrt{(p_1 (1 - p_1) + p_2 (1 - p_2)) / 2}}

    Args:
        first: In [0, 1], or NaN.
        second: In [0, 1], or NaN.

    Returns:
        0 if they are equal; NaN if one is not known, or if both are certain and differ.

    References:
        Austin (2009), *Balance diagnostics for comparing the distribution of baseline
        covariates between treatment groups*, Statistics in Medicine 28, 3083-3107, section 3.

    >>> round(standardised_difference(0.5, 0.3), 3), standardised_difference(1.0, 1.0)
    (0.417, 0.0)
    """
    variance = (first * (1 - first) + second * (1 - second)) / 2
    if first == second:
        return 0.0
    return (first - second) / variance**0.5 if variance > 0 else float("nan")


def _sizes(sizes: Sequence[GroupSize]) -> Markup:
    """Patients and images of every group, over all questions."""
    groups = list(dict.fromkeys(size.group for size in sizes))
    inside = {name: [size for size in sizes if size.group == name] for name in groups}
    rows = [
        (
            name,
            _range([size.patients for size in inside[name]]),
            _range([size.images for size in inside[name]]),
            _percent(_share(inside[name][0].images, sizes[0].images)),
        )
        for name in groups
    ]
    return table(["Group", "Patients", "Images", "Share of images"], rows)


def _matrix(sizes: Sequence[GroupSize], targets: Sequence[str], word: str) -> Iterator[Markup]:
    """How many positives each question has in each group."""
    groups = list(dict.fromkeys(size.group for size in sizes))
    found = {(size.target, size.group): size for size in sizes}
    rows = [
        (spoken(target), *(_positives(found[target, group]) for group in groups))
        for target in targets
        if found[target, groups[0]].positives is not None
    ]
    yield Markup("<h3>Positives</h3>")
    yield paragraph(
        "Images that have it, and their share of the group's images. A sensitivity rests "
        "on the positives alone: where they are few, little can be said."
    )
    matrix = table([word, *groups], rows)
    cells = len(rows) * len(groups)
    yield (
        folded(f"{word} by group: {len(rows)} rows", matrix) if cells > _MOST_CELLS else matrix
    )


def _positives(size: GroupSize) -> Markup:
    share = _percent(_share(size.positives, size.images))
    return Markup("{}<br><small>{}</small>").format(count(size.positives), share)


def _range(counts: Sequence[int | None]) -> str:
    """One count, or from the least to the most where truth is not known for all."""
    known = sorted({each for each in counts if each is not None})
    if not known:
        return UNDEFINED
    ends = [count(known[0]), *([count(known[-1])] if len(known) > 1 else [])]
    return " to ".join(ends)


def _share(part: int | None, whole: int | None) -> float:
    return part / whole if part is not None and whole else float("nan")


def _percent(share: float) -> str:
    return UNDEFINED if np.isnan(share) else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _signed(value: float) -> str:
    return UNDEFINED if np.isnan(value) else f"{value:+.2f}".replace("-", "−")

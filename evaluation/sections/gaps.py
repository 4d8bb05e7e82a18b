"""Gaps between groups."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.gap_bands import gap_bands
from evaluation.findings import Gap
from evaluation.metric import METRICS
from evaluation.parts import MOST_CELLS, named, of_target
from evaluation.section import (
    UNDEFINED,
    Section,
    bullets,
    exceeds_chance,
    folded,
    in_words,
    joined,
    listed,
    measured,
    number,
    paragraph,
    table,
    with_interval,
)

_NAMED, _CROSSED = 5, 150
_HEAD = (
    "Attribute",
    "Metric",
    "Gap",
    "Reading",
    "Worst group",
    "Its value",
    "Lowest / highest",
    "Spread",
)


class Gaps(Section):
    """Gap and worst group of every metric, by attribute and crossing."""

    title = "Gaps between groups"
    place = 30

    def applies(self, audit: Audit) -> bool:
        """Whether there are groups to compare."""
        return bool(audit.gaps)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "The gap is the distance between the best and the worst group. The largest of "
            "several noisy differences is never 0, even of a fair model. So each gap's "
            "interval holds for all groups at once, and beside it stands how large a gap "
            "chance alone makes if all groups are alike. A gap within that shows nothing, and "
            "does not show that groups are alike either."
        )
        targets = measured(audit)
        single = [gap for gap in audit.gaps if len(gap.attributes) == 1]
        first = [gap for gap in audit.gaps if gap.target == targets[0]]
        shown = [paragraph(how), *_sentences(audit, single), *self._chief(first, targets[0])]
        if len(targets) > 1:
            shown += _matrices(audit, single, targets)
        return joined(shown)

    def _chief(self, gaps: Sequence[Gap], target: str) -> Iterator[Markup]:
        """Figure and table of the first target."""
        single = [gap for gap in gaps if len(gap.attributes) == 1]
        crossed = [gap for gap in gaps if len(gap.attributes) > 1]
        if target:
            yield Markup("<h3>{}</h3>").format(named(target).capitalize())
        known = [gap for gap in single if not np.isnan(gap.value)]
        if known:
            yield paragraph(
                "Point and line: the gap and its interval. Grey bar: what chance alone makes. "
                "A full point lies beyond the bar, a hollow one within it."
            )
            yield gap_bands(known, "Gaps between groups against chance, one panel a metric")
            yield table(_HEAD, map(_row, known))
            yield paragraph(
                "Lowest / highest is the ratio of the two groups' values; 1 is no difference. "
                "Spread is the typical distance of groups from their mean (their standard "
                "deviation): first without the noise of the estimates, then as it looks with "
                "it, which is too large where groups are small."
            )
        yield from _undefined(single)
        if any(gap.value >= 0 for gap in crossed):
            known = [gap for gap in crossed if not np.isnan(gap.value)]
            some = sorted(known, key=_beyond, reverse=True)[:_CROSSED]
            summary = f"The {len(some):,} clearest of {len(crossed):,} gaps of crossed groups"
            yield folded(summary, table(_HEAD, map(_row, some)))


def _undefined(gaps: Sequence[Gap]) -> Iterator[Markup]:
    """The metrics that have no gap, by attribute."""
    metrics: dict[str, list[str]] = {}
    for gap in gaps:
        if np.isnan(gap.value):
            label = METRICS.get(gap.metric).label
            metrics.setdefault(" × ".join(gap.attributes), []).append(label)
    for labels in dict.fromkeys(map(tuple, metrics.values())):
        by = [name for name, found in metrics.items() if tuple(found) == labels]
        yield paragraph(
            f"By {listed(by)} there is no gap in {listed(labels, 20)}: fewer than two groups "
            "have enough evidence."
        )


def _sentences(audit: Audit, single: Sequence[Gap]) -> Iterator[Markup]:
    known = [gap for gap in single if not np.isnan(gap.value)]
    large = sorted(filter(exceeds_chance, known), key=_beyond, reverse=True)
    if not known:
        yield paragraph("No gap can be computed: fewer than two groups have enough evidence.")
        return
    by_chance = len(known) * (1 - audit.spec.confidence)
    yield paragraph(
        f"Of {len(known):,} gaps by single attributes, {len(large):,} are larger than chance "
        f"explains. If all groups were alike, about {by_chance:.0f} would look so all the same."
        + (" The clearest:" if large else "")
    )
    if large:
        yield bullets(map(_said, large[:_NAMED]))


def _said(gap: Gap) -> str:
    what = f"{METRICS.get(gap.metric).label}{of_target(gap.target)}"
    value = in_words(gap.value, gap.low, gap.high)
    return (
        f"{what} by {' × '.join(gap.attributes)}: the gap is {value}, chance makes up to "
        f"{number(gap.null_high)}. Worst off is {gap.worst} with {number(gap.worst_value)}."
    )


def _beyond(gap: Gap) -> float:
    """How many times larger than chance makes it; -1 where undefined."""
    if np.isnan(gap.value) or np.isnan(gap.null_high):
        return -1.0
    return gap.value / gap.null_high if gap.null_high > 0 else float(gap.value > 0) * np.inf


def _row(gap: Gap) -> tuple[object, ...]:
    attribute, label = " × ".join(gap.attributes), METRICS.get(gap.metric).label
    unranked = f"not ranked: {listed(gap.unranked, 2)}" if gap.unranked else ""
    ratio = with_interval(gap.ratio, gap.ratio_low, gap.ratio_high)
    spread = in_words(gap.spread, gap.spread_low, gap.spread_high)
    spread += f", with noise {number(gap.spread_raw)}"
    return (
        attribute,
        label,
        with_interval(gap.value, gap.low, gap.high),
        _noted(_reading(gap), unranked),
        gap.worst,
        with_interval(gap.worst_value, gap.worst_low, gap.worst_high),
        ratio,
        spread,
    )


def _reading(gap: Gap) -> str:
    if np.isnan(gap.null_high):
        return gap.reason
    beyond = "▲ beyond chance" if exceeds_chance(gap) else "within chance"
    return f"{beyond} (up to {number(gap.null_high)})"


def _noted(text: str, note: str) -> Markup:
    shown = Markup("{}").format(text)
    return shown + Markup("<br><small>{}</small>").format(note) if note else shown


def _matrices(audit: Audit, single: Sequence[Gap], targets: Sequence[str]) -> Iterator[Markup]:
    """Every target's gaps, a table an attribute."""
    found = {(gap.target, gap.metric, gap.attributes): gap for gap in single}
    attributes = list(dict.fromkeys(gap.attributes for gap in single))
    metrics = list(dict.fromkeys(gap.metric for gap in single))
    yield Markup("<h3>{}</h3>").format(
        "Every class" if audit.task == "multiclass" else "Every finding"
    )
    yield paragraph("Gaps by attribute; ▲ is larger than chance explains.")
    room = max(1, MOST_CELLS // (len(targets) * len(metrics)))
    for each in attributes[:room]:
        rows = [
            (named(target), *(_short(found.get((target, metric, each))) for metric in metrics))
            for target in targets
        ]
        yield table([f"By {each[0]}", *(METRICS.get(m).label for m in metrics)], rows)
    if len(attributes) > room:
        left = len(attributes) - room
        yield paragraph(f"There is no room for {left} more attributes; see tables/gaps.csv.")


def _short(gap: Gap | None) -> str:
    if gap is None or np.isnan(gap.value):
        return UNDEFINED
    return number(gap.value) + (" ▲" if exceeds_chance(gap) else "")

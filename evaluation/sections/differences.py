"""Every group against its reference group."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.differences import Difference
from evaluation.metric import METRICS
from evaluation.parts import named, of_target, parts
from evaluation.section import (
    UNDEFINED,
    Section,
    folded,
    joined,
    listed,
    number,
    paragraph,
    table,
    with_interval,
)

# Rows that are shown where there are very many of them.
_FOUND, _EXPLORED = 20, 25


class Differences(Section):
    """Differences from the reference group, and what could not have been seen."""

    title = "Each group against its reference"
    place = 34

    def applies(self, audit: Audit) -> bool:
        """Whether there are groups to compare."""
        return bool(audit.differences)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        family = [each for each in audit.differences if each.family]
        shown = [paragraph(_how(audit)), *_family(audit, family)]
        if family:
            shown += [*_detectable(family)]
        explored = [each for each in audit.differences if not each.family]
        return joined([*shown, *_exploration(audit, explored)])


def _how(audit: Audit) -> str:
    groups = dict.fromkeys(
        each.reference for each in audit.differences if len(each.attributes) == 1
    )
    return (
        "Each group minus the reference group of its attribute (the one that was declared, "
        f"else the largest): {listed(groups)}. Who looks at many differences finds some by "
        "chance. So those that were declared before looking, the family, have a band that "
        f"holds for all of them at once at {100 * audit.spec.confidence:g} % confidence, and a "
        "p value that allows for their number; the plain interval holds for one difference "
        "alone. All others are exploration: a reason to look again, not a result."
    )


def _family(audit: Audit, family: Sequence[Difference]) -> Iterator[Markup]:
    targets = list(dict.fromkeys(each.target for each in family))
    if not family:
        yield paragraph("No difference was declared before looking.")
        return
    tested = [each for each in family if not np.isnan(each.p_family)]
    clear = sorted(
        (each for each in tested if _clear(each)), key=lambda each: (each.p_family, each.p)
    )
    metrics = dict.fromkeys(METRICS.get(each.metric).label for each in family)
    declared = "" if audit.spec.primary else " No metric was declared, so that all are in it."
    yield paragraph(
        f"The family has {len(family):,} differences, in {listed(metrics)}; {len(tested):,} "
        f"could be tested.{declared} {len(clear):,} of them differ with all the others taken "
        "into account."
    )
    if len(targets) > 1 and clear:
        some = clear[:_FOUND]
        yield paragraph(f"The {len(some)} clearest of those that differ:")
        yield table(["Group", "Finding", *_HEAD[1:]], [_row(each, about=True) for each in some])
    cells = 3 * len(family) // len(targets)
    yield parts(
        targets,
        lambda target: table(_HEAD, [_row(each) for each in family if each.target == target]),
        cells,
        "differences",
    )


_HEAD = (
    "Group",
    "Metric",
    "Difference",
    "Band for all at once",
    "p, for all at once",
    "Reading",
)


def _clear(found: Difference) -> bool:
    """Whether the band for all at once leaves no difference out."""
    return bool(found.band_low > 0 or found.band_high < 0)


def _row(found: Difference, *, about: bool = False) -> tuple[object, ...]:
    what = (found.group, *([named(found.target)] if about else []))
    label = METRICS.get(found.metric).label
    if np.isnan(found.value):
        return *what, label, UNDEFINED, UNDEFINED, UNDEFINED, found.reason
    reading = "▲ differs" if _clear(found) else "not shown"
    band = Markup("<small>{} to {}</small>").format(
        number(found.band_low), number(found.band_high)
    )
    untested = np.isnan(found.band_low)
    return (
        *what,
        label,
        with_interval(found.value, found.low, found.high),
        UNDEFINED if untested else band,
        small(found.p_family),
        found.reason if untested else reading,
    )


def small(p: float) -> str:
    """A p or q value, which is never 0.

    >>> small(0.0004), small(0.03)
    ('< 0.001', '0.030')
    """
    return "< 0.001" if p < 0.0005 else number(p)


def _detectable(family: Sequence[Difference]) -> Iterator[Markup]:
    """What this audit could not have seen, by group and metric."""
    groups = list(dict.fromkeys(each.group for each in family))
    metrics = list(dict.fromkeys(each.metric for each in family))
    found: dict[tuple[str, str], list[float]] = {}
    for each in family:
        found.setdefault((each.group, each.metric), []).append(each.detectable)
    known = [
        each for each in family if not np.isnan(each.detectable) and each.metric == metrics[0]
    ]
    yield Markup("<h3>What this audit could not have seen</h3>")
    several = len({each.target for each in family}) > 1
    over = (
        ", from the finding where it is smallest to that where it is largest" if several else ""
    )
    yield paragraph(
        "The smallest true difference from the reference that one test would find in 80 % of "
        f"samples like this one{over}. A smaller one may well be there: where nothing was "
        "found, this is how much can have been missed."
    )
    if known:
        most = max(known, key=lambda each: each.detectable)
        what = f"{METRICS.get(most.metric).label}{of_target(most.target)}"
        yield paragraph(
            f"For {most.group} this audit could not have seen a difference in {what} smaller "
            f"than {number(most.detectable)}."
        )
    rows = [
        (group, *(_range(found.get((group, metric), [])) for metric in metrics))
        for group in groups
    ]
    yield table(["Group", *(METRICS.get(metric).label for metric in metrics)], rows)


def _range(values: Sequence[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return UNDEFINED
    low, high = number(min(known)), number(max(known))
    return low if low == high else f"{low} to {high}"


def _exploration(audit: Audit, explored: Sequence[Difference]) -> Iterator[Markup]:
    level = 1 - audit.spec.confidence
    tested = [each for each in explored if not np.isnan(each.q_bh)]
    if not tested:
        return
    few, fewer = (sum(q <= level for q in column) for column in _columns(tested))
    yield paragraph(
        f"Beyond the family, {len(tested):,} differences were explored. If a reader takes all "
        f"with q up to {level:.2g} for real, at most about {100 * level:.2g} % of these are "
        f"not. There are {few:,} by the usual rule (Benjamini-Hochberg) and {fewer:,} by the "
        "one that holds however they depend on each other (Benjamini-Yekutieli)."
    )
    some = sorted(tested, key=lambda each: (each.q_bh, -abs(each.value)))[:_EXPLORED]
    several = any(each.target for each in some)
    about = ["Finding"] if several else []
    head = ["Group", *about, "Against", "Metric", "Difference", "q (BH)", "q (BY)"]
    rows = [
        (
            each.group,
            *([named(each.target)] if several else []),
            each.reference,
            METRICS.get(each.metric).label,
            with_interval(each.value, each.low, each.high),
            small(each.q_bh),
            small(each.q_by),
        )
        for each in some
    ]
    summary = f"The {len(some)} clearest differences of {len(tested):,} explored"
    yield folded(summary, table(head, rows))


def _columns(found: Sequence[Difference]) -> tuple[list[float], list[float]]:
    return [each.q_bh for each in found], [each.q_by for each in found]

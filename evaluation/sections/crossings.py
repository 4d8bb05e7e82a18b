"""Performance of crossed groups."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.metric import METRICS
from evaluation.parts import named, of_target
from evaluation.pooling import Pooled
from evaluation.section import (
    Section,
    count,
    estimates_table,
    folded,
    in_words,
    joined,
    measured,
    number,
    paragraph,
    table,
    with_interval,
)

# Groups of a metric that are shown at once, and of those in full the most that a page holds.
_WORST, _MOST = 5, 200


class Crossings(Section):
    """Rates where attributes are crossed, raw and pooled, the worst of them first."""

    title = "Crossed groups"
    place = 25

    def applies(self, audit: Audit) -> bool:
        """Whether any attributes were crossed."""
        return any(len(size.attributes) > 1 for size in audit.cohort)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        how = (
            "A model can be even across each attribute and still fail where two of them meet. "
            "Such groups are small, so the worst of them is often the unluckiest. The pooled "
            "rate allows for that: it draws each group's own rate towards the mean of its "
            "crossing, the more so the fewer patients it rests on and the more alike the "
            "groups are. Trust it rather than the raw rate where the two differ."
        )
        return joined([paragraph(how), *self._worst(audit), self._raw(audit)])

    def _worst(self, audit: Audit) -> Iterator[Markup]:
        """The crossed groups that fall farthest behind all samples, by metric."""
        names = dict.fromkeys(each.metric for each in audit.pooled)
        declared = [name for name in names if name in audit.spec.primary]
        rows = [
            row for name in declared or list(names)[:3] for row in _farthest_behind(audit, name)
        ]
        if not rows:
            yield paragraph(
                "No crossed group with enough patients to be ranked is behind all samples."
            )
            return
        first, behind = rows[0]
        metric = METRICS.get(first.metric).label
        yield paragraph(
            f"Farthest behind in {metric}{of_target(first.target)} is {first.group}, with "
            f"{in_words(first.pooled, first.low, first.high)} after pooling against "
            f"{number(behind)} in all samples; its own rate is {number(first.raw)}."
        )
        several = len({each.target for each in audit.pooled}) > 1
        yield table(
            [
                "Group",
                *(["Finding"] if several else []),
                "Metric",
                "Pooled",
                "Raw",
                "All samples",
                "Patients",
            ],
            [
                (
                    each.group,
                    *([named(each.target)] if several else []),
                    METRICS.get(each.metric).label,
                    with_interval(each.pooled, each.low, each.high),
                    number(each.raw),
                    number(overall),
                    count(each.units),
                )
                for each, overall in rows
            ],
        )
        unranked = sum(each.units < audit.spec.minimum_patients for each in audit.pooled)
        yield paragraph(
            f"These are the {_WORST} farthest behind in each metric, at most. {unranked:,} of "
            f"{len(audit.pooled):,} rates rest on fewer than {audit.spec.minimum_patients} "
            "patients and were not ranked. All are in tables/pooled.csv."
        )

    def _raw(self, audit: Audit) -> Markup:
        first, target = audit.cohort[0].target, measured(audit)[0]
        sizes = [s for s in audit.cohort if len(s.attributes) > 1 and s.target == first]
        shown = estimates_table(audit, sizes[:_MOST], target, audit.spec.metrics)
        about = f" ({named(target)})" if target else ""
        summary = f"Raw numbers of {len(sizes[:_MOST])} of {len(sizes)} crossed groups{about}"
        return folded(summary, shown)


def _farthest_behind(audit: Audit, name: str) -> list[tuple[Pooled, float]]:
    """The worst of those that rest on enough patients, each with the rate of all samples."""
    metric = METRICS.get(name)
    overall = {
        each.target: each.value
        for each in audit.estimates
        if (each.metric, each.group) == (name, "all")
    }
    ranked = [
        (each, overall[each.target])
        for each in audit.pooled
        if each.metric == name
        and each.units >= audit.spec.minimum_patients
        and not np.isnan([each.pooled, overall[each.target]]).any()
    ]
    ahead = [np.diff(metric.goodness(np.array([b, each.pooled])))[0] for each, b in ranked]
    order = np.argsort(ahead, kind="stable")[:_WORST]
    return [ranked[place] for place in order if ahead[place] < 0]

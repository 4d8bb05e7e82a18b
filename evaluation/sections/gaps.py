"""Gaps between groups."""

import numpy as np
from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.findings import Gap
from evaluation.metric import METRICS
from evaluation.section import (
    Section,
    folded,
    joined,
    measured,
    number,
    paragraph,
    table,
    with_interval,
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
        note = (
            "The largest of several noisy differences is never 0, even of a fair model. So "
            "each gap's interval holds for all groups at once, and the column “chance” says "
            "how large a gap to expect if all groups were alike. A gap within it shows nothing."
        )
        head = [
            "Attribute",
            "Metric",
            "Gap",
            "Chance",
            "Worst group",
            "Its value",
            "Not ranked",
        ]
        gaps = [gap for gap in audit.gaps if gap.target == measured(audit)[0]]
        single = [self._row(gap) for gap in gaps if len(gap.attributes) == 1]
        crossed = [self._row(gap) for gap in gaps if len(gap.attributes) > 1]
        parts = [paragraph(note), table(head, single)]
        if crossed:
            parts.append(folded(f"{len(crossed)} gaps of crossed groups", table(head, crossed)))
        return joined(parts)

    def _row(self, gap: Gap) -> tuple[object, ...]:
        attribute = " × ".join(gap.attributes)
        label = METRICS.get(gap.metric).label
        unranked = (
            f"{len(gap.unranked)} groups" if len(gap.unranked) > 2 else ", ".join(gap.unranked)
        )
        if np.isnan(gap.value):
            return attribute, label, "–", "–", gap.reason, "–", unranked
        return (
            attribute,
            label,
            with_interval(gap.value, gap.low, gap.high),
            f"up to {number(gap.null_high)}",
            gap.worst,
            with_interval(gap.worst_value, gap.worst_low, gap.worst_high),
            unranked,
        )

"""Changes against the champion."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.metric import METRICS
from evaluation.section import Section, joined, measured, paragraph, table, with_interval


class Changes(Section):
    """Paired changes overall and in each group."""

    title = "Change against the champion"
    place = 60

    def applies(self, audit: Audit) -> bool:
        """Whether there was a champion."""
        return bool(audit.changes)

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        note = (
            f"This model minus {audit.champion}, on the same samples and the same resampled "
            "patients, turned so that positive is better."
        )
        target = measured(audit)[0]
        changes = [change for change in audit.changes if change.target == target]
        groups = list(dict.fromkeys(change.group for change in changes))
        cells = {
            (change.group, change.metric): with_interval(change.value, change.low, change.high)
            for change in changes
        }
        head = ["Group", *(METRICS.get(metric).label for metric in audit.spec.metrics)]
        rows = [
            (group, *(cells[group, metric] for metric in audit.spec.metrics))
            for group in groups
        ]
        return joined([paragraph(note), table(head, rows)])

"""Performance of each group."""

from collections.abc import Iterable

from markupsafe import Markup

from evaluation import figure
from evaluation.audit import Audit
from evaluation.findings import Estimate, GroupSize
from evaluation.metric import METRICS
from evaluation.section import Section, joined, paragraph, table, with_interval

_PANELS = 3


class Groups(Section):
    """Every metric in every group of one attribute: forest plot and table."""

    title = "Performance of each group"
    place = 20

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        sizes = [size for size in audit.cohort if len(size.attributes) <= 1]
        metrics = audit.spec.metrics
        parts = [
            paragraph(
                "Lines are intervals over resampled patients, the dotted line is all samples. "
                "Hollow grey groups rest on too few patients: they are listed, and never "
                "ranked."
            )
        ]
        for start in range(0, len(metrics), _PANELS):
            panel = metrics[start : start + _PANELS]
            rows = [[audit.estimate(metric, size.group) for size in sizes] for metric in panel]
            title = "Forest plot of " + ", ".join(METRICS.get(m).label for m in panel)
            parts.append(figure.forest([size.group for size in sizes], rows, title))
        return joined([*parts, estimates_table(audit, sizes)])


def estimates_table(audit: Audit, sizes: Iterable[GroupSize]) -> Markup:
    """Groups down, metrics across."""
    head = ["Group", "Patients", *(METRICS.get(metric).label for metric in audit.spec.metrics)]
    rows = [
        (
            size.group,
            f"{size.patients:,}",
            *(_cell(audit.estimate(metric, size.group)) for metric in audit.spec.metrics),
        )
        for size in sizes
    ]
    return table(head, rows)


def _cell(found: Estimate) -> Markup:
    shown = with_interval(found.value, found.low, found.high)
    if found.state in ("undefined", "insufficient") or found.reason:
        note = f"{found.state}: {found.reason}" if not found.ranked else found.reason
        shown += Markup('<br><span class="reason">{}</span>').format(note)
    return shown

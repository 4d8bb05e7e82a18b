"""Cohort table."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.section import Section, joined, number, paragraph, table


class CohortTable(Section):
    """Who was audited: patients, images and positives in every group."""

    title = "Who was audited"
    place = 10

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        everyone = audit.cohort[0]
        rows = [
            (
                size.group,
                f"{size.patients:,}",
                f"{size.images:,}",
                f"{size.positives:,}",
                number(size.positives / size.images if size.images else float("nan")),
                f"{100 * size.images / everyone.images:.1f} %",
            )
            for size in audit.cohort
            if len(size.attributes) <= 1
        ]
        head = ["Group", "Patients", "Images", "Positive", "Prevalence", "Share of images"]
        note = "Samples with a missing attribute are a group of their own; nobody is left out."
        return joined([paragraph(note), table(head, rows)])

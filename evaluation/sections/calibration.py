"""Calibration of each group."""

from markupsafe import Markup

from evaluation.audit import Audit
from evaluation.figures.reliability import reliability
from evaluation.section import Section, joined, paragraph


class Calibration(Section):
    """Reliability curves overall and by attribute."""

    title = "Calibration"
    place = 40

    def render(self, audit: Audit) -> Markup:
        """The section's body as HTML."""
        note = (
            "Points on the dotted line: among samples with that score, just that share is "
            "positive. Above it the model under-estimates the risk, below it over-estimates. "
            "Bins are the same for all groups; lines are pointwise intervals, absent where too "
            "few patients fall."
        )
        plot = reliability([c for c in audit.reliability if c.target == audit.reliability[0].target], "Reliability curves, one panel a group")
        return joined([paragraph(note), plot])
